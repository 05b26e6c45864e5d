"""Textured meshes to images, unlit: to see how well they show their scene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from tda_nerfstudio.core.cameras import pixel_centres, rays
from tda_nerfstudio.core.view import View
from tda_nerfstudio.export.mesh.texture import Textured

if TYPE_CHECKING:
    from trimesh import Trimesh

RAYS = 2
"""Rays along each side of a pixel."""


def mesh_images(mesh: Textured, view: View, height: int, width: int) -> Float[Tensor, "view 3 height width"]:
    """Render cameras on white, in [0, 1], on the CPU."""
    import trimesh

    shape = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    texture = torch.tensor(mesh.texture).permute(2, 0, 1)[None].float() / 255
    view = view.to("cpu")
    fine = view.scaled(RAYS, RAYS)
    return torch.stack([_image(mesh, shape, texture, fine[[i]], height, width) for i in range(len(view))])


def _image(
    mesh: Textured, shape: Trimesh, texture: Tensor, view: View, height: int, width: int
) -> Float[Tensor, "3 height width"]:
    import trimesh

    rows, columns = height * RAYS, width * RAYS
    pixels = pixel_centres(rows, columns, torch.device("cpu"))[None]
    origins, directions = (part[0].double().numpy() for part in rays(view, pixels, 1.0))
    found = shape.ray.intersects_id(origins, directions, multiple_hits=False, return_locations=True)
    face, ray, at = list[Any](found)
    image = torch.ones(3, rows * columns)
    if len(ray):
        shares = trimesh.triangles.points_to_barycentric(shape.triangles[face], at)
        uv = torch.tensor((mesh.uv[mesh.faces[face]] * shares[:, :, None]).sum(1)).float()
        place = (2 * uv - 1)[None, None]
        image[:, ray] = grid_sample(texture, place, padding_mode="border", align_corners=False)[0, :, 0]
    return avg_pool2d(image.view(1, 3, rows, columns), RAYS)[0]
