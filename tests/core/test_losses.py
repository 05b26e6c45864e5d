"""The four losses by hand."""

from __future__ import annotations

import pytest
import torch

from tda_nerfstudio.core.losses import LOSSES, image_loss, latent_loss, tv_loss


def test_names():
    assert LOSSES == ("ae", "latent", "rgb", "tv")


def test_image_loss_by_hand():
    truth, output = torch.zeros(2, 3, 2, 2), torch.zeros(2, 3, 2, 2)
    output[0, 1, 0, 1], output[1, 2, 1, 1] = 0.6, -1.2
    assert float(image_loss(output, truth)) == pytest.approx((0.36 + 1.44) / 24)


def test_latent_loss_by_hand():
    rendered, encoded = torch.zeros(2, 2, 1, 2), torch.zeros(2, 2, 1, 2)
    rendered[0, 0, 0, 0], encoded[1, 1, 0, 1] = 0.5, -2.0
    variance = torch.tensor([0.25, 8.0]).view(2, 1, 1)  # by channel
    assert float(latent_loss(rendered, encoded, variance)) == pytest.approx((0.25 / 0.25 + 4.0 / 8.0) / 8)


def test_latent_loss_does_not_depend_on_the_size_of_the_latents():
    generator = torch.Generator().manual_seed(0)
    rendered, encoded = (torch.randn(2, 4, 3, 3, generator=generator) for _ in range(2))

    def loss(scale: float) -> float:
        variance = (scale * encoded).var((0, 2, 3))[:, None, None]
        return float(latent_loss(scale * rendered, scale * encoded, variance))

    assert loss(0.1) == pytest.approx(loss(1.0), rel=1e-5)


def test_the_variance_carries_its_gradient():
    variance = torch.tensor([2.0]).view(1, 1, 1).requires_grad_()
    latent_loss(torch.ones(1, 1, 1, 4), torch.zeros(1, 1, 1, 4), variance).backward()
    assert float(variance.grad) == pytest.approx(-1 / 4)  # of 1 / variance


def test_tv_of_constant_planes_is_zero():
    assert float(tv_loss(torch.full((2, 3, 4, 4, 5), 0.7))) == 0.0


def test_tv_of_ramps_by_hand():
    steps = torch.arange(4.0)
    across = steps.view(1, 1, 1, 4, 1).expand(2, 3, 4, 4, 5)
    assert float(tv_loss(3 * across)) == pytest.approx(9.0)
    assert float(tv_loss(3 * across.transpose(2, 3))) == pytest.approx(9.0)
    assert float(tv_loss(3 * across + 2 * across.transpose(2, 3))) == pytest.approx(13.0)


def test_tv_compares_cells_of_a_plane_alone():
    generator = torch.Generator().manual_seed(0)
    planes = torch.randn(2, 3, 1, 1, 5, generator=generator).expand(2, 3, 4, 4, 5)  # each plane and channel its own
    assert float(tv_loss(planes)) == 0.0


def test_tv_of_one_odd_cell():
    planes = torch.zeros(1, 3, 3, 3, 1)
    planes[0, 1, 1, 1, 0] = 2.0
    assert float(tv_loss(planes)) == pytest.approx(2 * (2 * 4.0) / (3 * 2 * 3))  # two differences of 6 x 3, each way
