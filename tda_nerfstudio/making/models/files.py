"""Models from files (GLB, glTF, OBJ, PLY) as meshes in the atlas' frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.models.gltf import read_gltf
from tda_nerfstudio.making.models.obj import read_obj
from tda_nerfstudio.making.models.parts import Source, build
from tda_nerfstudio.making.models.ply import read_ply
from tda_nerfstudio.making.raycast import Mesh

_READERS = {".glb": read_gltf, ".gltf": read_gltf, ".obj": read_obj, ".ply": read_ply}
SUFFIXES = tuple(_READERS)
"""Of the formats that can be read."""
RADIUS = 0.62
"""Largest distance of a fitted model from the origin: cameras at 1.9 that see 39.6 degrees see all of it."""


def read_model(path: Path, root: Path | None = None, up: str = "y", front: str = "z") -> Mesh:
    """Read one model and turn it: z up, front along -y.

    `up` and `front` are axes of the file (`y`, `-x`, ...); the defaults are glTF's. Files that it refers to must lie
    below `root`, its own folder by default. Raises TdaError, naming the file, for a model that cannot be rendered.
    """
    turn = axes(up, front)
    try:
        source = Source(path, root or path.parent)
        if (read := _READERS.get(path.suffix.lower())) is None:
            raise TdaError(f"Its format is not known. Known are {', '.join(SUFFIXES)}.")
        mesh = build(read(source))
    except TdaError as error:
        raise TdaError(f"Model {path}: {error}") from error
    except MemoryError as error:
        raise TdaError(f"Model {path}: There is not enough memory for it. Simplify it.") from error
    return mesh._replace(vertices=mesh.vertices @ turn.T, normals=mesh.normals @ turn.T)


def axes(up: str, front: str) -> Float[np.ndarray, "3 3"]:
    """Make the rotation from a file's axes to z up and front along -y."""
    columns = {sign + name: (-1 if sign else 1) * np.eye(3)[i] for i, name in enumerate("xyz") for sign in ("", "-")}
    if up not in columns or front not in columns or up[-1] == front[-1]:
        raise TdaError(f"up '{up}' and front '{front}' must be two different axes among {', '.join(columns)}.")
    return np.stack([np.cross(columns[up], columns[front]), -columns[front], columns[up]])


def fit(mesh: Mesh, scale: float | None = None) -> Mesh:
    """Centre a mesh's box on the origin and scale it; by default so that it fits (`fitting_scale`)."""
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    scale = fitting_scale(mesh) if scale is None else scale
    return mesh._replace(vertices=(mesh.vertices - (low + high) / 2) * scale)


def fitting_scale(mesh: Mesh) -> float:
    """Find the scale that makes the longest side 1, or less where the reach from the middle would be over RADIUS."""
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    reach = np.linalg.norm(mesh.vertices - (low + high) / 2, axis=1).max()
    return float(min(1 / (high - low).max(), RADIUS / reach))
