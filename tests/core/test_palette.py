"""Colours of latents: fixed by what scenes share, principal axes first."""

from __future__ import annotations

import torch

from tda_nerfstudio.core.palette import one_channel, plain_palette, shared_palette
from tda_nerfstudio.core.scenes import LatentScenes, TriPlaneConfig


def space(seed: int, channels: int = 6) -> LatentScenes:
    scenes = LatentScenes(2, channels, TriPlaneConfig(16, 3, 4, 8, 16, grid=12), seed=seed).requires_grad_(False)
    scenes.base.mul_(10)
    return scenes


def test_it_follows_from_the_shared_parts_and_the_weights_alone() -> None:
    scenes, weights = space(0), torch.linspace(-1, 1, 8)
    first = shared_palette(scenes, weights)
    scenes.micro.normal_()
    scenes.weights.normal_()
    again = shared_palette(scenes, weights)
    assert torch.equal(first.mean, again.mean) and torch.equal(first.axes, again.axes)
    assert not torch.equal(first.axes, shared_palette(space(1), weights).axes)


def test_its_axes_are_principal_and_ordered() -> None:
    scenes, weights = space(0), torch.linspace(-1, 1, 8)
    palette = shared_palette(scenes, weights)
    length = palette.axes.norm(dim=0)
    unit = palette.axes / length
    torch.testing.assert_close(unit.T @ unit, torch.eye(3), rtol=0, atol=1e-5)
    assert length[0] <= length[1] <= length[2]  # what varies most is divided by most
    colours = palette(palette.mean + 0.5 * unit.T / length[:, None]).clamp(0, 1)
    torch.testing.assert_close(colours.diagonal(), torch.ones(3), rtol=0, atol=1e-4)
    torch.testing.assert_close(palette(palette.mean), torch.full((3,), 0.5))


def test_few_channels_and_single_ones_are_shown_as_they_are() -> None:
    assert plain_palette(2, torch.empty(0))(torch.tensor([-1.0, 1.0])).tolist() == [0.0, 1.0, 1.0]
    assert shared_palette(space(0, 1), torch.ones(8))(torch.tensor([0.0])).tolist() == [0.5] * 3
    assert one_channel(3, 1, torch.empty(0))(torch.tensor([0.3, -0.5, 0.9])).tolist() == [0.25] * 3
