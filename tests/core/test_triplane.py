"""Fusing and sampling of Tri-Planes."""

from __future__ import annotations

import pytest
import slow_twin
import torch

from tda_nerfstudio.core.triplane import fuse, sample


def some(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_samples_and_gradients_are_those_of_grid_sample():
    planes, points = some(3, 3, 6, 6, 4).requires_grad_(), 0.7 * some(50, 3, seed=1)  # some points lie outside
    slot = torch.arange(50) * 7 % 3
    out = sample(planes, points, slot)
    twin = torch.stack([slow_twin.sample_planes(planes[s], p[None])[0] for p, s in zip(points, slot, strict=True)])
    torch.testing.assert_close(out, twin, rtol=0, atol=1e-12)
    above = some(50, 4, seed=2)
    ours, theirs = (torch.autograd.grad((value * above).sum(), planes)[0] for value in (out, twin))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("plane", "u", "v"), [(0, 0, 1), (1, 0, 2), (2, 1, 2)])
def test_each_plane_spans_its_own_pair_of_axes(plane, u, v):
    resolution = 8
    centres = (torch.arange(resolution) + 0.5) * (2 / resolution) - 1
    planes = torch.zeros(1, 3, resolution, resolution, 1)
    planes[0, plane, :, :, 0] = centres[None, :] + 10 * centres[:, None]  # the first axis runs along the width
    points = torch.tensor([[-0.8, 0.3, 0.6], [0.1, -0.45, 0.85], [0.0, 0.0, 0.0]])
    expected = points[:, u] + 10 * points[:, v]
    torch.testing.assert_close(sample(planes, points, torch.zeros(3, dtype=torch.long))[:, 0], expected)


def test_a_cell_centre_gives_the_cell():
    planes = some(2, 3, 4, 4, 2)
    point = torch.tensor([[-0.75, 0.25, 0.75]], dtype=torch.float64)  # cells 0, 2 and 3
    expected = planes[1, 0, 2, 0] + planes[1, 1, 3, 0] + planes[1, 2, 3, 2]
    torch.testing.assert_close(sample(planes, point, torch.tensor([1]))[0], expected, rtol=0, atol=1e-14)


def test_outside_the_box_the_border_holds():
    planes = some(1, 3, 5, 5, 2)
    inside = torch.tensor([[1.0, 1.0, 1.0], [-1.0, -1.0, 0.3], [0.2, 1.0, -1.0]], dtype=torch.float64)
    outside = torch.tensor([[3.0, 1.5, 99.0], [-2.0, -7.0, 0.3], [0.2, 1.1, -1e6]], dtype=torch.float64)
    slot = torch.zeros(3, dtype=torch.long)
    torch.testing.assert_close(sample(planes, outside, slot), sample(planes, inside, slot), rtol=0, atol=1e-14)
    corner = planes[0, :, 4, 4].sum(0)
    torch.testing.assert_close(sample(planes, outside, slot)[0], corner, rtol=0, atol=1e-14)


def test_gradient_of_sample():
    planes, points = some(2, 3, 3, 3, 2).requires_grad_(), 0.6 * some(5, 3, seed=1)
    slot = torch.tensor([0, 1, 1, 0, 1])
    assert torch.autograd.gradcheck(lambda planes: sample(planes, points, slot), [planes])


def test_gradients_of_repeated_points_add_up():
    planes, point, above = some(2, 3, 4, 4, 3).requires_grad_(), 0.5 * some(1, 3, seed=1), some(4, 3, seed=2)
    slot = torch.tensor([1, 1, 0, 1])
    (together,) = torch.autograd.grad((sample(planes, point.expand(4, -1), slot) * above).sum(), planes)
    for scene, repeats in ((0, [2]), (1, [0, 1, 3])):
        out = sample(planes, point, torch.tensor([scene]))
        (once,) = torch.autograd.grad((out[0] * above[repeats].sum(0)).sum(), planes)
        torch.testing.assert_close(together[scene], once[scene], rtol=0, atol=1e-13)


def test_scenes_without_points_get_no_gradient():
    planes = some(3, 3, 4, 4, 2).requires_grad_()
    (grad,) = torch.autograd.grad(sample(planes, some(6, 3), torch.full((6,), 1)).sum(), planes)
    assert (grad[[0, 2]] == 0).all() and grad[1].sum() == pytest.approx(6 * 3 * 2)  # bilinear weights sum to 1


def test_fuse_joins_micro_and_mixture():
    micro, base = torch.zeros(2, 3, 2, 2, 1), torch.ones(2, 3, 2, 2, 2)
    micro[0], base[1, :, :, :, 1] = 7.0, 5.0
    planes = fuse(micro, torch.tensor([[2.0, 0.0], [-1.0, 3.0]]), base)
    assert planes.shape == (2, 3, 2, 2, 3)
    assert (planes[0] == torch.tensor([7.0, 2.0, 2.0])).all()
    assert (planes[1] == torch.tensor([0.0, 2.0, 14.0])).all()


def test_fuse_keeps_cells_in_place():
    micro, weights, base = some(2, 3, 4, 4, 1), some(2, 3, seed=1), some(3, 3, 4, 4, 2, seed=2)
    planes = fuse(micro, weights, base)
    expected = sum(weights[1, b] * base[b, 2, 3, 1] for b in range(3))
    torch.testing.assert_close(planes[1, 2, 3, 1], torch.cat([micro[1, 2, 3, 1], expected]))


def test_without_base_planes_micro_planes_are_all():
    micro = some(2, 3, 4, 4, 3)
    assert fuse(micro, some(2, 0), some(0, 3, 4, 4, 2)) is micro
    assert fuse(micro, some(2, 5), some(5, 3, 4, 4, 0)) is micro


def test_gradient_of_fuse_and_sample():
    leaves = [some(2, 3, 3, 3, 1), some(2, 2, seed=1), some(2, 3, 3, 3, 2, seed=2)]
    points, slot = 0.6 * some(4, 3, seed=3), torch.tensor([1, 0, 1, 1])
    leaves = [leaf.requires_grad_() for leaf in leaves]
    assert torch.autograd.gradcheck(lambda *leaves: fuse(*leaves), leaves)
    assert torch.autograd.gradcheck(lambda *leaves: sample(fuse(*leaves), points, slot), leaves)
