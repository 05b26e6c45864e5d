"""Cameras that stand around a scene: which way is up, their order around it, and where a spiral starts.

This is what `ns-render interpolate` and `ns-render spiral` need to keep the scene upright and in sight.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

STEEPEST = math.radians(60)
"""Most elevation in radians: closer to the zenith, a camera's azimuth is not well defined."""


def up_direction(c2w: Float[Tensor, "view 3 4"]) -> Float[Tensor, " 3"]:
    """Find which way is up for cameras that stand upright: across all right axes, else the mean of the up axes."""
    right, mean = c2w[:, :, 0], normalize(c2w[:, :, 1].mean(0), dim=0)
    spread = right.T @ right / len(right) + 1e-3 * (torch.eye(3).to(mean) - torch.outer(mean, mean))
    up = torch.linalg.eigh(spread).eigenvectors[:, 0]
    return up * torch.sign(up @ mean)


def horizon(up: Float[Tensor, " 3"]) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
    """Return two orthogonal directions that span the horizon: x and y if z is up."""
    axis = torch.eye(3, dtype=up.dtype)[int(up.abs().argmin())]
    first = normalize(torch.linalg.cross(torch.linalg.cross(up, axis), up), dim=0)
    return first, torch.linalg.cross(up, first)


def order_by_azimuth(c2w: Float[Tensor, "view 3 4"], centre: Float[Tensor, " 3"]) -> Int[Tensor, " view"]:
    """Order cameras by azimuth around a point, the first one first: the way between neighbours stays outside.

    Returns indices into `c2w`.
    """
    first, second = horizon(up_direction(c2w))
    away = c2w[:, :, 3] - centre.to(c2w)
    azimuth = torch.atan2(away @ second, away @ first)
    return ((azimuth - azimuth[0]) % (2 * math.pi)).argsort(stable=True)


def spiral_start(c2w: Float[Tensor, "view 3 4"], centre: Float[Tensor, " 3"]) -> Float[Tensor, "3 4"]:
    """Place the camera from which nerfstudio's spiral path stays upright, as far away and as high as the others.

    nerfstudio takes the world coordinates of the camera's backward axis for the up direction in the camera's own
    frame: of all places around the centre, this is the one where the axis has the least x and a positive y.
    """
    up, away = up_direction(c2w), c2w[:, :, 3] - centre.to(c2w)
    distance = away.norm(dim=-1).median()
    height = torch.asin((normalize(away, dim=-1) @ up).median().clamp(-1, 1)).clamp(-STEEPEST, STEEPEST)
    first, second = horizon(up)
    azimuth = torch.arange(360, dtype=c2w.dtype) * (2 * math.pi / 360)
    around = azimuth.cos()[:, None] * first + azimuth.sin()[:, None] * second
    back = height.cos() * around + height.sin() * up
    back = back[(normalize(back[:, :2], dim=-1)[:, 1]).argmax()]
    right = normalize(torch.linalg.cross(up, back), dim=0)
    return torch.stack([right, torch.linalg.cross(back, right), back, centre.to(c2w) + distance * back], -1)
