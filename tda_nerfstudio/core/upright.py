"""Cameras that stand around a scene, put so that those who go from one to the next see it well."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

STEEPEST = math.radians(60)
"""Cameras higher than this above the horizon have no azimuth to speak of."""


def up_of(c2w: Float[Tensor, "view 3 4"]) -> Float[Tensor, " 3"]:
    """Find which way is up for cameras that stand upright: across all their right axes, else the mean of their own."""
    right, mean = c2w[:, :, 0], normalize(c2w[:, :, 1].mean(0), dim=0)
    spread = right.T @ right / len(right) + 1e-3 * (torch.eye(3).to(mean) - torch.outer(mean, mean))
    up = torch.linalg.eigh(spread).eigenvectors[:, 0]
    return up * torch.sign(up @ mean)


def horizon(up: Float[Tensor, " 3"]) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
    """Give two directions that span the horizon: those of x and y where z is up."""
    axis = torch.eye(3, dtype=up.dtype)[int(up.abs().argmin())]
    first = normalize(torch.linalg.cross(torch.linalg.cross(up, axis), up), dim=0)
    return first, torch.linalg.cross(up, first)


def in_a_ring(c2w: Float[Tensor, "view 3 4"], centre: Float[Tensor, " 3"]) -> Int[Tensor, " view"]:
    """Order cameras by azimuth around a point, the first one first: the way between neighbours stays outside."""
    first, second = horizon(up_of(c2w))
    away = c2w[:, :, 3] - centre.to(c2w)
    azimuth = torch.atan2(away @ second, away @ first)
    return ((azimuth - azimuth[0]) % (2 * math.pi)).argsort(stable=True)


def upright_for_spirals(c2w: Float[Tensor, "view 3 4"], centre: Float[Tensor, " 3"]) -> Float[Tensor, "3 4"]:
    """Place a camera as far away and as high as some others are, where nerfstudio's spiral is upright.

    That takes the world coordinates of the camera's backward axis for its own, as up: it must have no x, and a
    positive y.
    """
    up, away = up_of(c2w), c2w[:, :, 3] - centre.to(c2w)
    distance = away.norm(dim=-1).median()
    height = torch.asin((normalize(away, dim=-1) @ up).median().clamp(-1, 1)).clamp(-STEEPEST, STEEPEST)
    first, second = horizon(up)
    azimuth = torch.arange(360, dtype=c2w.dtype) * (2 * math.pi / 360)
    around = azimuth.cos()[:, None] * first + azimuth.sin()[:, None] * second
    back = height.cos() * around + height.sin() * up
    back = back[(normalize(back[:, :2], dim=-1)[:, 1]).argmax()]
    right = normalize(torch.linalg.cross(up, back), dim=0)
    return torch.stack([right, torch.linalg.cross(back, right), back, centre.to(c2w) + distance * back], -1)
