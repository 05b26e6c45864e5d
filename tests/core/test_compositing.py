"""Weights along a ray and what they sum to."""

from __future__ import annotations

import math

import torch

from tda_nerfstudio.core.compositing import composite, ray_weights

LN2 = math.log(2)


def test_intervals_that_halve_the_light():
    weights = ray_weights(torch.full((1, 3), LN2), torch.ones(1, 3))
    torch.testing.assert_close(weights, torch.tensor([[0.5, 0.25, 0.125]]))


def test_only_density_times_length_matters():
    density, lengths = torch.tensor([[4 * LN2, 0.0, 0.5 * LN2]]), torch.tensor([[0.25, 3.0, 4.0]])
    torch.testing.assert_close(ray_weights(density, lengths), torch.tensor([[0.5, 0.0, 0.375]]))


def test_what_lies_behind_an_opaque_interval_is_not_seen():
    weights = ray_weights(torch.tensor([[0.0, 1e4, 5.0, 1e4]]), torch.ones(1, 4))
    assert weights.tolist() == [[0.0, 1.0, 0.0, 0.0]]


def test_thin_media_keep_their_precision():
    weights = ray_weights(torch.full((1, 2), 1e-9), torch.ones(1, 2))
    torch.testing.assert_close(weights, torch.full((1, 2), 1e-9), rtol=1e-6, atol=0)


def test_composite_by_hand():
    weights = torch.tensor([[0.5, 0.25], [0.0, 0.0], [1.0, 0.0]])
    values = torch.tensor([[[1.0, 0.0], [0.0, 4.0]]]).expand(3, -1, -1)
    out, opacity = composite(weights, values, torch.tensor([8.0, -4.0]))
    assert opacity.tolist() == [0.75, 0.0, 1.0]
    assert out.tolist() == [[2.5, 0.0], [8.0, -4.0], [1.0, 0.0]]  # a mixture, the background alone, the front alone


def test_opacity_is_that_of_the_whole_ray_and_never_leaves_its_range():
    generator = torch.Generator().manual_seed(0)
    density = torch.rand(200, 48, generator=generator) * torch.logspace(-6, 4, 200)[:, None]
    lengths = torch.rand(200, 48, generator=generator)
    weights = ray_weights(density, lengths)
    _, opacity = composite(weights, weights[..., None], torch.zeros(1))
    torch.testing.assert_close(opacity, -torch.expm1(-(density * lengths).sum(-1)), rtol=1e-4, atol=1e-6)
    assert (weights >= 0).all() and (opacity >= 0).all() and (opacity <= 1 + 1e-6).all()


def test_splitting_an_interval_changes_nothing():
    whole = ray_weights(torch.tensor([[0.7, 1.3]]), torch.tensor([[1.0, 0.5]]))
    parts = ray_weights(torch.tensor([[0.7, 0.7, 1.3]]), torch.tensor([[0.4, 0.6, 0.5]]))
    torch.testing.assert_close(torch.stack([parts[0, :2].sum(), parts[0, 2]])[None], whole)


def test_gradients():
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, dtype=torch.float64, generator=generator).requires_grad_()

    inputs = [draw(3, 5), draw(3, 5), draw(3, 5, 2), draw(2)]
    assert torch.autograd.gradcheck(lambda d, le, v, b: composite(ray_weights(d, le), v, b), inputs)
