"""The network that gives new scenes their first planes."""

from __future__ import annotations

import pytest
import torch

from tda_nerfstudio.core.scenes import LatentScenes, TriPlaneConfig
from tda_nerfstudio.core.surface import Surface

SIZES = TriPlaneConfig(resolution=16, micro_channels=4, macro_channels=2, bases=3, grid=16, starter=8)


def ball(radius: float, colour: float) -> Surface:
    line = torch.linspace(-1, 1, 16)
    hull = torch.stack(torch.meshgrid(line, line, line, indexing="ij")).norm(dim=0) < radius
    cell = hull.flatten().nonzero()[:, 0]
    return Surface(hull, cell, torch.full((len(cell), 5), colour))


def test_untrained_it_is_the_mean_start() -> None:
    scenes, weights = LatentScenes(2, 3, SIZES), torch.tensor([0.5, -1.0, 2.0])
    micro, own = scenes.first_planes(weights, [ball(0.5, 0.2), ball(0.9, -0.2)])
    assert micro.shape == (2, 3, 16, 16, 4) and not micro.any()
    torch.testing.assert_close(own, weights.expand(2, -1))


def test_a_scene_does_not_depend_on_those_beside_it() -> None:
    scenes, weights = LatentScenes(2, 3, SIZES), torch.tensor([0.5, -1.0, 2.0])
    assert scenes.starter is not None
    for param in scenes.starter.parameters():
        torch.nn.init.normal_(param, std=0.1, generator=torch.Generator().manual_seed(len(param)))
    scenes.start_row(1, weights, ball(0.5, 0.2))
    both, own = scenes.first_planes(weights, [ball(0.9, -0.2), ball(0.5, 0.2)])
    torch.testing.assert_close(scenes.micro[1], both[1].flatten())
    torch.testing.assert_close(scenes.weights[1], own[1])
    assert not torch.allclose(both[0], both[1])


def test_it_learns_to_tell_scenes_apart() -> None:
    scenes, weights = LatentScenes(2, 3, SIZES), torch.zeros(3)
    assert scenes.starter is not None
    wanted = torch.stack([torch.full((3, 16, 16, 4), value) for value in (0.3, -0.3)])
    optimizer = torch.optim.Adam(scenes.starter.parameters(), 0.01)
    for _ in range(60):
        micro, _ = scenes.first_planes(weights, [ball(0.5, 0.2), ball(0.9, -0.2)])
        loss = (micro - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1 * 0.09


@pytest.mark.parametrize("sizes", [TriPlaneConfig(starter=0), TriPlaneConfig(starter=8, micro_channels=0)])
def test_scenes_without_a_starter_have_no_numbers_for_it(sizes: TriPlaneConfig) -> None:
    scenes = LatentScenes(1, 3, sizes)
    assert scenes.starter is None and not sizes.starts and not any("starter" in name for name in scenes.state_dict())


@pytest.mark.parametrize("resolution", [16, 17, 40])
def test_it_needs_no_base_planes_and_gives_planes_of_any_size(resolution: int) -> None:
    sizes = TriPlaneConfig(resolution, micro_channels=4, macro_channels=0, bases=0, starter=8)
    micro, own = LatentScenes(1, 3, sizes).first_planes(torch.zeros(0), [ball(0.5, 0.2)])
    assert micro.shape == (1, 3, resolution, resolution, 4) and own.shape == (1, 0)
