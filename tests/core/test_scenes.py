"""The table of scenes and what all scenes share."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tda_nerfstudio.core.scenes import LatentScenes, TriPlaneConfig

SMALL = TriPlaneConfig(resolution=4, micro_channels=2, macro_channels=3, bases=5, hidden=8)


def test_shapes_of_parameters_and_planes():
    scenes = LatentScenes(6, 4, SMALL)
    assert len(scenes) == 6
    shapes = {name: tuple(parameter.shape) for name, parameter in scenes.named_parameters()}
    assert shapes == {
        "micro": (6, 3 * 4 * 4 * 2),
        "weights": (6, 5),
        "base": (5, 3, 4, 4, 3),
        "hidden.weight": (8, 5),
        "hidden.bias": (8,),
        "head.weight": (5, 8),
        "head.bias": (5,),
    }
    assert scenes.planes(torch.tensor([4, 1])).shape == (2, 3, 4, 4, 5)


def test_the_defaults_are_the_papers_but_for_the_channels_of_base_planes():
    config = TriPlaneConfig()
    assert (config.resolution, config.micro_channels, config.macro_channels, config.bases) == (64, 10, 6, 50)
    assert config.channels == 16


def test_planes_are_the_micro_row_and_its_mixture():
    scenes = LatentScenes(6, 4, SMALL)
    planes = scenes.planes(torch.tensor([4, 1]))
    for position, scene in enumerate((4, 1)):
        assert torch.equal(planes[position, ..., :2], scenes.micro[scene].view(3, 4, 4, 2))
        mixture = torch.einsum("b,bpvuf->pvuf", scenes.weights[scene], scenes.base)
        torch.testing.assert_close(planes[position, ..., 2:], mixture)


@pytest.mark.parametrize(("macro", "bases"), [(3, 0), (0, 5), (0, 0)])
def test_without_bases_or_macro_channels_planes_are_micro_alone(macro, bases):
    config = TriPlaneConfig(resolution=4, micro_channels=2, macro_channels=macro, bases=bases, hidden=8)
    scenes = LatentScenes(3, 4, config)
    planes = scenes.planes(torch.tensor([2]))
    assert not config.shares and config.channels == 2 and torch.equal(planes[0], scenes.micro[2].view(3, 4, 4, 2))
    features = scenes.features(planes, torch.zeros(1, 3), torch.tensor([0]))
    assert features.shape == (1, 8)


def test_random_micro_planes_are_faint_where_scenes_share_base_planes():
    for config, spread in ((SMALL, 0.01), (replace(SMALL, bases=0), 0.1)):
        scenes = LatentScenes(6, 4, config)
        assert config.micro_spread == spread and float(scenes.micro.std()) == pytest.approx(spread, rel=0.1)
        scenes.cold_start([torch.Generator().manual_seed(seed) for seed in range(6)])
        assert float(scenes.micro.std()) == pytest.approx(spread, rel=0.1)


def test_a_warm_start_gives_every_scene_the_same_planes():
    scenes, mean = LatentScenes(4, 4, SMALL), torch.tensor([0.5, -1.0, 0.0, 2.0, 0.25])
    base = scenes.base.detach().clone()
    filled = torch.rand(SMALL.grid, SMALL.grid, SMALL.grid) < 0.5
    scenes.warm_start(mean, filled)
    assert torch.equal(scenes.occupied, filled.expand(4, -1, -1, -1))
    planes = scenes.planes(torch.arange(4))
    assert torch.equal(planes, planes[:1].expand(4, -1, -1, -1, -1))
    assert (planes[..., :2] == 0).all()
    torch.testing.assert_close(planes[0, ..., 2:], torch.einsum("b,bpvuf->pvuf", mean, base))
    planes.square().sum().backward()
    assert scenes.weights.grad is not None  # still to be learnt, scene by scene


def test_gradients_of_micro_and_weights_name_the_visited_rows_alone():
    scenes = LatentScenes(6, 4, SMALL)
    scenes.planes(torch.tensor([4, 1])).square().sum().backward()
    for table in (scenes.micro, scenes.weights):
        assert table.grad.is_sparse
        assert table.grad.coalesce().indices().tolist() == [[1, 4]]
    assert not scenes.base.grad.is_sparse


def test_densities_and_colours_keep_their_ranges():
    scenes = LatentScenes(1, 4, SMALL)
    with torch.no_grad():
        scenes.head.weight.mul_(100)
    features = 10 * torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    density, colour = scenes.density_and_colour(features)
    assert density.shape == (500,) and colour.shape == (500, 4)
    assert (density >= 0).all() and density.max() > 100
    assert colour.min() < 0 and colour.max() > 1  # both ends of [0, 1] can be reached
    assert colour.min() >= -0.001 and colour.max() <= 1.001 + 1e-6


def test_density_and_colour_by_hand():
    scenes = LatentScenes(1, 4, SMALL)
    with torch.no_grad():
        scenes.head.weight.zero_()
        scenes.head.bias.copy_(torch.tensor([1.0, 0.0, math.log(3), -math.log(3), 0.0]))
    density, colour = scenes.density_and_colour(torch.randn(2, 8))
    torch.testing.assert_close(density, torch.full((2,), math.log(2)))
    torch.testing.assert_close(colour, torch.tensor([[0.5, 0.7505, 0.2495, 0.5]]).expand(2, -1))


def test_density_alone_is_the_density_of_both():
    scenes, features = LatentScenes(1, 4, SMALL), torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(scenes.density(features), scenes.density_and_colour(features)[0])


def test_unit_maps_the_box_to_a_cube():
    scenes = LatentScenes(1, 4, SMALL)
    scenes.box.copy_(torch.tensor([[0.0, -2.0, 1.0], [4.0, 0.0, 2.0]]))
    points = torch.tensor([[0.0, -2.0, 1.0], [4.0, 0.0, 2.0], [2.0, -1.0, 1.5], [1.0, 1.0, 1.0]])
    expected = torch.tensor([[-1.0] * 3, [1.0] * 3, [0.0] * 3, [-0.5, 2.0, -1.0]])
    torch.testing.assert_close(scenes.unit(points), expected)
    assert float(scenes.length_scale()) == 0.5  # half the longest side, 2, is 1


def test_the_box_is_saved_but_never_trained():
    scenes = LatentScenes(1, 4, SMALL)
    assert "box" in scenes.state_dict() and "box" not in dict(scenes.named_parameters())
    assert scenes.box.tolist() == [[-1.0] * 3, [1.0] * 3]


def test_a_seed_gives_the_same_scenes_whatever_was_drawn_before():
    first = LatentScenes(3, 4, SMALL, seed=7).state_dict()
    torch.rand(13)
    again, other = (LatentScenes(3, 4, SMALL, seed=seed).state_dict() for seed in (7, 8))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first if name not in ("box", "occupied"))


def test_making_scenes_leaves_the_global_randomness_alone():
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    LatentScenes(3, 4, SMALL, seed=7)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("bases", [1, 16])
def test_without_micro_channels_a_scene_is_its_weights(bases):
    config = TriPlaneConfig(resolution=4, micro_channels=0, macro_channels=3, bases=bases, hidden=8)
    scenes = LatentScenes(6, 4, config)
    assert config.channels == 3 and config.shares and scenes.micro.shape == (6, 0)
    planes = scenes.planes(torch.tensor([4, 1]))
    torch.testing.assert_close(planes[0], torch.einsum("b,bpvuf->pvuf", scenes.weights[4], scenes.base))
    scenes.features(planes, torch.rand(9, 3), torch.zeros(9, dtype=torch.long)).sum().backward()
    assert scenes.weights.grad is not None
    assert scenes.micro.grad is None  # nothing there: no optimizer would ever clear it
