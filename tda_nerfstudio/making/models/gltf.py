"""glTF 2.0 and GLB as parts: primitives, morphed, skinned and put in their places.

trimesh reads many such files wrongly: `tests/making/models/test_trimesh.py` shows how.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.models.gltf_file import GltfFile
from tda_nerfstudio.making.models.gltf_material import placed, read_material
from tda_nerfstudio.making.models.gltf_nodes import Instance, instances, skinned
from tda_nerfstudio.making.models.parts import MAX_COUNT, MAX_PARTS, Part, Source, check_count

MAX_MORPHED = 10 * MAX_COUNT
"""Rows of all morph targets that have a weight, of all primitives together."""
_BROKEN = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, struct.error)


def read_gltf(source: Source) -> list[Part]:
    """Read every instance of every mesh of the file's scene, in its own frame (y up). Raises TdaError."""
    try:
        return _parts(GltfFile(source))
    except _BROKEN as error:
        reason = f"{type(error).__name__}: {error}"
        raise TdaError(f"Its glTF structure is broken ({reason[:200]}). Export it again.") from error


def _parts(file: GltfFile) -> list[Part]:
    """Count everything first, then read it."""
    todo: list[tuple[str, Instance, dict[str, Any]]] = []
    vertices = triangles = morphed = 0
    with np.errstate(all="ignore"):  # what is not finite is refused later, by name
        for copies, instance in enumerate(instances(file), 1):
            check_count(copies, "instances")
            for number, primitive in enumerate(instance.mesh["primitives"]):
                mode = primitive.get("mode", 4)
                if mode in (4, 5, 6):
                    position = primitive["attributes"]["POSITION"]
                    vertices += file.count(position)
                    morphed += file.count(position) * len(_targets(primitive, instance.weights))
                    triangles += file.count(primitive.get("indices", position)) // (3 if mode == 4 else 1)
                    todo.append((f"{instance.name}, primitive {number}", instance, primitive))
                    check_count(len(todo), "primitives", MAX_PARTS)
                    check_count(vertices, "vertices")
                    check_count(triangles, "triangles")
                    check_count(morphed, "rows of morph targets", MAX_MORPHED)
        return [_part(file, *entry) for entry in todo]


def _part(file: GltfFile, name: str, instance: Instance, primitive: dict[str, Any]) -> Part:
    attributes, targets = primitive["attributes"], _targets(primitive, instance.weights)
    size = file.count(attributes["POSITION"])

    def read(key: str, kind: str | None = None) -> Float[np.ndarray, "vertex column"]:
        """Read an attribute and morph it."""
        total = 0.0
        for weight, index in [(1.0, attributes[key]), *((w, target[key]) for w, target in targets if key in target)]:
            values = file.access(index, kind)
            if len(values) != size:
                raise TdaError(f"'{name}' has {size} vertices, but attributes of {len(values)}. Export again.")
            total = total + weight * values if targets else values
        return np.asarray(total)

    vertices = read("POSITION", "VEC3")
    if "indices" in primitive:
        corners = file.access(primitive["indices"], "SCALAR")[:, 0].astype(np.int64)
    else:
        corners = np.arange(size)
    material, place = read_material(file, primitive.get("material"))
    normals = uv = colours = None
    if "NORMAL" in attributes:
        normals = read("NORMAL", "VEC3")
    coordinates = f"TEXCOORD_{place.get('texCoord', 0)}"
    if material.texture is not None and coordinates in attributes:
        uv = placed(read(coordinates, "VEC2"), place)
    if "COLOR_0" in attributes:
        colours = read("COLOR_0")
        colours = np.concatenate([colours, np.ones((size, 1))], 1)[:, :4]
    if instance.joints is not None and "JOINTS_0" in attributes:
        sets = range(sum(key.startswith("JOINTS_") for key in attributes))
        named, weights = (
            np.concatenate([read(f"{key}_{i}", "VEC4") for i in sets], 1) for key in ("JOINTS", "WEIGHTS")
        )
        vertices, normals = skinned(vertices, normals, instance.joints, named.astype(np.int64), weights)
    else:
        matrix = instance.matrix
        normals = None if normals is None else normals @ np.linalg.pinv(matrix[:3, :3])
        vertices = vertices @ matrix[:3, :3].T + matrix[:3, 3]
    return Part(name, vertices, _triangles(corners, primitive.get("mode", 4)), material, normals, uv, colours)


def _targets(primitive: dict[str, Any], weights: Sequence[float]) -> list[tuple[float, dict[str, int]]]:
    """List the morph targets whose weight is not 0."""
    pairs = zip(weights, primitive.get("targets", []), strict=False)
    return [(float(weight), target) for weight, target in pairs if weight]


def _triangles(corners: NDArray[np.int64], mode: int) -> NDArray[np.int64]:
    """Cut a list (4), strip (5) or fan (6) of corners into triangles."""
    if mode == 4:
        return corners[: len(corners) // 3 * 3].reshape(-1, 3)
    second = corners[1:-1]
    return np.stack([corners[:-2] if mode == 5 else np.full_like(second, corners[0]), second, corners[2:]], -1)
