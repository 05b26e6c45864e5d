"""A scene that is a smooth ball."""

from __future__ import annotations

import torch

from tda_nerfstudio.core.scenes import LatentScenes


def ball(scenes: LatentScenes, scene: int, centre: tuple[float, float, float], radius: float) -> None:
    """Make a scene a ball in unit coordinates: planes add up to -40 (distance^2 - radius^2) in one feature."""
    r = scenes.config.resolution
    line = ((torch.arange(r) + 0.5) / r) * 2 - 1
    squares = [(line - c).square() for c in centre]
    planes = torch.zeros(3, r, r, scenes.config.micro_channels)
    planes[0, ..., 0] = squares[0][None] + squares[1][:, None] - radius**2  # (x, y): v is y
    planes[1, ..., 0] = squares[2][:, None]  # (x, z): v is z
    with torch.no_grad():
        scenes.micro[scene] = (-40 * planes).flatten()
        scenes.weights.zero_()
        scenes.hidden.weight.zero_()
        scenes.hidden.bias.zero_()
        scenes.hidden.weight[0, 0] = 1.0
        scenes.head.weight.zero_()
        scenes.head.bias.zero_()
        scenes.head.weight[0, 0] = 4.0
        scenes.head.bias[0] = -6.0
