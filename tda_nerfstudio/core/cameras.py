"""Rays through latent pixels, and cameras around a scene.

Frame: OpenGL cameras (x right, y up, looking along -z) placed by camera-to-world matrices in the atlas' world frame.
Units: intrinsics in pixels of the full image, whatever the down-scaling f; a latent pixel is an area of f x f of them.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.view import View


def grid_size(height: int, width: int, f: int) -> tuple[int, int]:
    """Count rows and columns of the latent pixels that cover an image; the last ones may reach over its border."""
    return math.ceil(height / f), math.ceil(width / f)


def parts_shape(height: int, width: int, f: int, sub: int) -> tuple[int, int]:
    """Return rows and columns of the parts of all latent pixels that cover an image, each with sub x sub parts."""
    h, w = grid_size(height, width, f)
    return h * sub, w * sub


def pixel_centres(h: int, w: int, device: torch.device | str = "cpu") -> Float[Tensor, "pixel 2"]:
    """Return the centres (x, y) of an h x w grid's pixels in row-major order, in pixels of the grid."""
    y, x = torch.meshgrid(torch.arange(h, device=device), torch.arange(w, device=device), indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2) + 0.5


def footprint(side: int, device: torch.device | str = "cpu") -> Float[Tensor, "sub 2"]:
    """Return side x side offsets (x, y) from a pixel's centre, spread evenly over the pixel, in pixels."""
    return (pixel_centres(side, side, device) / side) - 0.5


def rays(
    view: View, pixels: Float[Tensor, "view ray 2"], f: float
) -> tuple[Float[Tensor, "view ray 3"], Float[Tensor, "view ray 3"]]:
    """Return origins and unit directions, in the world frame, of rays through positions (x, y) of the latent grid.

    Positions are in latent pixels, where the centre of the first one is (0.5, 0.5). With f = 1 they are image pixels.
    """
    x = (pixels[..., 0] * f - view.cx[:, None]) / view.fx[:, None]
    y = (pixels[..., 1] * f - view.cy[:, None]) / view.fy[:, None]
    local = torch.stack([x, -y, -torch.ones_like(x)], -1)
    directions = torch.einsum("vij,vrj->vri", view.c2w[:, :, :3], local)
    origins = view.c2w[:, None, :, 3].expand_as(directions)
    return origins, torch.nn.functional.normalize(directions, dim=-1)


def clip_to_box(
    origins: Float[Tensor, "ray 3"], directions: Float[Tensor, "ray 3"], box: Float[Tensor, "2 3"]
) -> tuple[Float[Tensor, " ray"], Float[Tensor, " ray"], Bool[Tensor, " ray"]]:
    """Return the distances at which rays enter and leave an axis-aligned box, and whether they meet it.

    `directions` have unit length; `box` holds its lowest and highest corner. A ray that starts inside enters at 0.
    """
    safe = torch.where(directions.abs() < 1e-9, torch.full_like(directions, 1e-9), directions)
    t = (box[:, None] - origins) / safe
    near = t.amin(0).amax(-1).clamp(min=0.0)
    far = t.amax(0).amin(-1)
    return near, far, far > near


def orbit(
    count: int, distance: float, elevation: float, focal: float, size: tuple[int, int], centre: Float[Tensor, " 3"]
) -> View:
    """Place cameras on a full turn around a point, looking at it, with z up.

    `distance` is in world units, `elevation` in degrees above the horizon, `focal` in pixels of an image of `size`
    (width, height). Raises TdaError for less than one camera.
    """
    if count < 1:
        raise TdaError(f"A turn has at least one camera, not {count}.")
    azimuth = torch.arange(count) * (2 * math.pi / count)
    up = math.radians(elevation)
    back = torch.stack(
        [azimuth.cos() * math.cos(up), azimuth.sin() * math.cos(up), torch.full_like(azimuth, math.sin(up))], -1
    )
    right = torch.stack([-azimuth.sin(), azimuth.cos(), torch.zeros_like(azimuth)], -1)
    c2w = torch.stack([right, torch.linalg.cross(back, right), back, centre + distance * back], -1)
    full = torch.ones(count)
    middle = full * size[0] / 2, full * size[1] / 2
    return View(c2w, full * focal, full * focal, *middle, width=size[0], height=size[1])
