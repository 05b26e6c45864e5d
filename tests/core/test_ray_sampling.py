"""Intervals and samples along rays."""

from __future__ import annotations

import numpy as np
import pytest
import slow_twin
import torch

from tda_nerfstudio.core.ray_sampling import even_edges, importance_edges, place


def some_rays(rays: int = 40, samples: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    near = torch.rand(rays, generator=generator, dtype=torch.float64)
    edges = even_edges(near, near + 1 + near, samples)
    weights = torch.rand(rays, samples, generator=generator, dtype=torch.float64) ** 8
    return edges, weights / weights.sum(-1, keepdim=True)


def test_even_edges_by_hand():
    edges = even_edges(torch.tensor([0.0, 2.0]), torch.tensor([4.0, 3.0]), 4)
    assert edges.tolist() == [[0.0, 1.0, 2.0, 3.0, 4.0], [2.0, 2.25, 2.5, 2.75, 3.0]]


@pytest.mark.parametrize("weight", [0.0, 0.25])
def test_constant_weights_give_even_edges(weight):
    edges = even_edges(torch.tensor([1.0]), torch.tensor([3.0]), 4)
    finer = importance_edges(edges, torch.full((1, 4), weight), 8)
    torch.testing.assert_close(finer, even_edges(torch.tensor([1.0]), torch.tensor([3.0]), 8))


def test_importance_edges_by_hand():
    # Widened to (0.5, 1, 0.5, 0, 0, 0): a quarter, a half and a quarter of the intervals.
    edges, weights = torch.arange(7.0)[None], torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0, 0.0]])
    finer = importance_edges(edges, weights, 8, floor=0.0)
    assert finer[0, :8].tolist() == [0.0, 0.5, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5]


def test_importance_edges_are_those_of_the_slow_twin():
    edges, weights = some_rays()
    twin = [slow_twin.refine(e.numpy(), w.numpy(), 17) for e, w in zip(edges, weights, strict=True)]
    torch.testing.assert_close(importance_edges(edges, weights, 17), torch.tensor(np.stack(twin)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_importance_edges_ascend_between_the_same_ends(dtype):
    edges, weights = (part.to(dtype) for part in some_rays())
    finer = importance_edges(edges, weights, 31)
    assert finer.shape == (40, 32)
    assert (finer[:, 0] == edges[:, 0]).all() and (finer[:, -1] == edges[:, -1]).all()
    assert (finer.diff(dim=1) > 0).all()


def test_intervals_gather_where_the_weight_is():
    edges, weights = torch.linspace(0, 1, 11)[None], torch.zeros(1, 10)
    weights[0, 4] = 1.0
    finer = importance_edges(edges, weights, 100)[0]
    around = ((finer >= 0.3) & (finer <= 0.6)).sum()  # the interval and its neighbours
    assert 94 <= around <= 98  # 2.03 / 2.1 of a hundred
    assert (finer < 0.3).sum() >= 1 and (finer > 0.6).sum() >= 1  # the floor: empty space keeps some


def test_a_higher_floor_leaves_more_intervals_in_empty_space():
    edges, weights = torch.linspace(0, 1, 11)[None], torch.eye(10)[:1]
    low, high = (importance_edges(edges, weights, 50, floor=floor)[0] for floor in (0.01, 0.5))
    assert (high > 0.5).sum() > 2 * (low > 0.5).sum()


def test_middles_and_jittered_places():
    edges = torch.tensor([[0.0, 1.0, 4.0]])
    assert place(edges).tolist() == [[0.5, 2.5]]
    assert place(edges, torch.tensor([[0.0, 0.75]])).tolist() == [[0.0, 3.25]]
    bundle = edges[:, None].expand(-1, 2, -1)  # two rays in one bundle's intervals
    assert place(bundle, torch.tensor([[[0.0, 0.75], [0.5, 0.0]]])).tolist() == [[[0.0, 3.25], [0.5, 1.0]]]


def test_jittered_samples_stay_in_their_intervals():
    edges, weights = some_rays()
    at = place(edges, torch.rand(weights.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    assert (at >= edges[:, :-1]).all() and (at <= edges[:, 1:]).all()
