"""A second renderer to compare with: one ray at a time, grid_sample on planes, no tricks."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def sample_planes(planes: Tensor, points: Tensor) -> Tensor:
    """Sum the samples of one scene's planes [3, R, R, F] at points [P, 3] in [-1, 1]."""
    total = torch.zeros(len(points), planes.shape[-1], dtype=planes.dtype)
    for plane, axes in zip(planes, ([0, 1], [0, 2], [1, 2]), strict=True):
        picture = plane.permute(2, 0, 1)[None]
        where = points[:, axes][None, None]
        found = functional.grid_sample(picture, where, mode="bilinear", padding_mode="border", align_corners=False)
        total = total + found[0, :, 0].T
    return total


def fuse_planes(scenes, scene: int) -> Tensor:
    """Join a scene's micro planes with its mixture of base planes: [3, R, R, F]."""
    config = scenes.config
    shape = (3, config.resolution, config.resolution, config.micro_channels)
    micro = scenes.micro[scene].reshape(shape)
    macro = sum(weight * base for weight, base in zip(scenes.weights[scene], scenes.base, strict=True))
    return torch.cat([micro, macro], -1)


def look_up(scenes, planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Read density [P] and colour [P, C] in [0, 1] at world points [P, 3] of one scene."""
    low, high = scenes.box
    features = sample_planes(planes, 2 * (points - low) / (high - low) - 1)
    raw = scenes.head(functional.softplus(scenes.hidden(features)))
    return functional.softplus(raw[:, 0] - 1), torch.sigmoid(raw[:, 1:]) * 1.002 - 0.001


def enter_and_leave(origin: Tensor, direction: Tensor, box: Tensor) -> tuple[float, float] | None:
    """Clip a ray to a box, axis by axis; nothing when it misses."""
    near, far = 0.0, math.inf
    for axis in range(3):
        ends = [(float(side) - float(origin[axis])) / float(direction[axis]) for side in box[:, axis]]
        near, far = max(near, min(ends)), min(far, max(ends))
    return (near, far) if near < far else None


def march(density: Tensor, lengths: Tensor) -> list[Tensor]:
    """Walk along a ray: the share of its light that each interval sends."""
    light, weights = torch.ones((), dtype=density.dtype), []
    for sigma, length in zip(density, lengths, strict=True):
        passes = torch.exp(-sigma * length)
        weights.append(light * (1 - passes))
        light = light * passes
    return weights


def refine(edges: np.ndarray, weights: np.ndarray, count: int, floor: float = 0.01) -> np.ndarray:
    """Choose `count` intervals of equal weight: each weight widened by its neighbours, lifted, summed, inverted."""
    last = len(weights) - 1
    wide = []
    for i, weight in enumerate(weights):
        left = max(weight, weights[i - 1]) if i > 0 else weight
        right = max(weight, weights[i + 1]) if i < last else weight
        wide.append((left + right) / 2 + floor)
    cdf = np.concatenate([[0.0], np.cumsum(wide) / np.sum(wide)])
    return np.interp(np.linspace(0, 1, count + 1), cdf, edges)


def render_ray(
    scenes,
    planes: Tensor,
    origin: Tensor,
    direction: Tensor,
    background: Tensor,
    coarse: int,
    fine: int,
    jitter: Tensor | float = 0.5,
    guide: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Render one ray of one scene: latent [C] in (-1, 1), opacity and depth (world units; 0 where nothing is).

    The coarse pass goes along the guide, another direction from the same origin, if there is one.
    """
    guide = direction if guide is None else guide
    span = enter_and_leave(origin, guide, scenes.box)
    if span is None:
        return background, torch.zeros(()), torch.zeros(())
    unit = float((scenes.box[1] - scenes.box[0]).max()) / 2

    def middle(edges: Tensor, share) -> Tensor:
        return edges[:-1] + (edges[1:] - edges[:-1]) * share

    edges = torch.tensor(np.linspace(*span, coarse + 1))
    with torch.no_grad():
        density, _ = look_up(scenes, planes, origin + middle(edges, 0.5)[:, None] * guide)
        weights = march(density, edges.diff() / unit)
    edges = torch.tensor(refine(edges.numpy(), np.array([float(weight) for weight in weights]), fine))
    at = middle(edges, jitter)
    density, colour = look_up(scenes, planes, origin + at[:, None] * direction)
    weights = march(density, edges.diff() / unit)
    opacity = sum(weights)
    latent = sum(weight * value for weight, value in zip(weights, 2 * colour - 1, strict=True))
    depth = sum(weight * distance for weight, distance in zip(weights, at, strict=True))
    return latent + (1 - opacity) * background, opacity, depth / max(float(opacity), 1e-6)
