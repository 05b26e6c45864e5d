"""Textures: where each face lies in an image, and what colours it has there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from tda_nerfstudio.export.colours import seen_colours
from tda_nerfstudio.export.survey import Survey

if TYPE_CHECKING:
    from trimesh import Trimesh

PADDING = 2
"""Pixels between charts, so that no neighbour shines through where a texture is sampled smoothly."""


@dataclass(frozen=True, eq=False)
class Textured:
    """A mesh in the world frame whose vertices have a place in a texture; seams have vertices on both sides."""

    vertices: Float[np.ndarray, "vertex 3"]
    normals: Float[np.ndarray, "vertex 3"]
    uv: Float[np.ndarray, "vertex 2"]
    """In [0, 1], (0, 0) at the upper left of the image, as glTF has it."""
    faces: Int[np.ndarray, "face 3"]
    texture: UInt8[np.ndarray, "size size 3"]
    """sRGB."""


def textured(mesh: Trimesh, views: Survey, size: int, tolerance: float) -> Textured:
    """Unwrap a mesh and paint its texture, size x size, with the colours that views see; see `seen_colours`."""
    import xatlas

    atlas = xatlas.Atlas()
    atlas.add_mesh(np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.uint32))
    pack = xatlas.PackOptions()
    pack.resolution, pack.padding, pack.bilinear = size, PADDING, True
    atlas.generate(pack_options=pack)
    origin, faces, uv = atlas[0]
    vertices, normals = np.asarray(mesh.vertices)[origin], np.asarray(mesh.vertex_normals)[origin]
    faces = faces.astype(np.int64)
    texture = _painted(vertices, normals, uv, faces, views, size, tolerance)
    return Textured(vertices, normals, uv, faces, texture)


def _painted(
    vertices: Float[np.ndarray, "vertex 3"],
    normals: Float[np.ndarray, "vertex 3"],
    uv: Float[np.ndarray, "vertex 2"],
    faces: Int[np.ndarray, "face 3"],
    views: Survey,
    size: int,
    tolerance: float,
) -> UInt8[np.ndarray, "size size 3"]:
    """Colour the texels that faces cover; those beside them take the nearest's."""
    from scipy.ndimage import distance_transform_edt

    face, shares, texel = _covered(uv, faces, size)
    places = [
        torch.tensor((part[faces[face]] * shares[:, :, None]).sum(1)).to(views.rgb) for part in (vertices, normals)
    ]
    colours = seen_colours(views, places[0], torch.nn.functional.normalize(places[1], dim=-1), tolerance)
    image, empty = np.zeros((size * size, 3), np.uint8), np.ones(size * size, bool)
    image[texel], empty[texel] = (colours.cpu().numpy() * 255).round().astype(np.uint8), False
    nearest = distance_transform_edt(empty.reshape(size, size), return_distances=False, return_indices=True)
    rows, columns = np.asarray(nearest)
    return image.reshape(size, size, 3)[rows, columns]


def _covered(
    uv: Float[np.ndarray, "vertex 2"], faces: Int[np.ndarray, "face 3"], size: int
) -> tuple[Int[np.ndarray, " texel"], Float[np.ndarray, "texel 3"], Int[np.ndarray, " texel"]]:
    """Find the texels whose centres faces cover: their faces, shares of the corners, and indices in the image."""
    import trimesh

    flat = np.concatenate([uv, np.zeros((len(uv), 1))], 1)
    sheet = trimesh.Trimesh(flat, faces, process=False)
    at = (np.arange(size) + 0.5) / size
    centres = np.stack([*np.meshgrid(at, at), np.ones((size, size))], -1).reshape(-1, 3)
    down = np.broadcast_to([0.0, 0.0, -1.0], centres.shape)
    face, texel = sheet.ray.intersects_id(centres, down, multiple_hits=False)[:2]
    hit = centres[texel] * [1, 1, 0]
    shares = trimesh.triangles.points_to_barycentric(flat[faces[face]], hit)
    return face, shares.clip(0, 1), texel
