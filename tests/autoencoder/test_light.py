"""Our own autoencoder: shapes, empty space, and that it learns."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tda_nerfstudio.autoencoder.build import build
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.autoencoder.light import frequencies
from tda_nerfstudio.autoencoder.muon import Muon
from tda_nerfstudio.core.layers import PixelNorm, ResidualBlock


def light(f=8, channels=4, width=16, blocks=2, seed=0):
    return build(AutoencoderConfig("light", f, channels, width, blocks), seed)


@torch.no_grad()
@pytest.mark.parametrize("f", [4, 8, 16])
@pytest.mark.parametrize("channels", [1, 4])
def test_shapes(f, channels):
    model = light(f, channels)
    z = model.encode(torch.rand(2, 3, 2 * f, 3 * f))
    assert z.shape == (2, channels, 2, 3)
    assert model.decode(z).shape == (2, 3, 2 * f, 3 * f)


@torch.no_grad()
@pytest.mark.parametrize("f", [4, 8, 16])
def test_a_constant_image_has_one_latent_up_to_the_border(f):
    z = light(f).encode(torch.tensor([1.0, 0.4, 0.1]).reshape(1, 3, 1, 1).expand(1, 3, 6 * f, 6 * f))
    torch.testing.assert_close(z, z[..., :1, :1].expand_as(z), rtol=0, atol=1e-5)
    assert z.abs().max() > 1e-3


@torch.no_grad()
def test_a_constant_latent_decodes_to_one_patch_repeated_away_from_the_border():
    image = light(f=4).decode(torch.randn(1, 4, 1, 1).expand(1, 4, 8, 8))
    inner = image[..., 8:-8, 8:-8]  # three convolutions at 2/f reach two latent pixels
    torch.testing.assert_close(inner, inner[..., :4, :4].repeat(1, 1, 4, 4), rtol=0, atol=1e-5)
    assert inner.std() > 1e-3


@torch.no_grad()
def test_a_latent_depends_on_its_neighbourhood_alone():
    model, images = light(f=4, blocks=1), torch.rand(1, 3, 80, 80)
    other = images.clone()
    other[..., :4] = 0
    moved = (model.encode(images) - model.encode(other)).abs().amax((0, 1, 2)) > 1e-6
    # Three convolutions at f / 2 reach 3 half pixels = 2 latent ones; three more at f reach 3.
    assert moved[0] and not moved[6:].any()


def test_float64_stays_float64_in_training():
    model, images = light().double(), torch.rand(1, 3, 16, 16, dtype=torch.float64)
    trained = model.encode(images)
    assert trained.dtype == torch.float64 and trained.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(trained, model.encode(images), rtol=0, atol=1e-12)


@torch.no_grad()
def test_what_is_only_looked_at_hardly_differs_from_exact_float32():
    model, z = light(width=32), torch.randn(4, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    exact, shown = (model.decoder(z) + 1) / 2, model.decode(z)
    assert shown.dtype == torch.float32
    assert (shown - exact).square().mean().sqrt() < 1e-3 * exact.std()  # 60 dB below the image; sums stay float32
    double = model.double().decode(z.double())
    torch.testing.assert_close(double, exact.double(), rtol=0, atol=1e-5)


@torch.no_grad()
def test_without_native_bfloat16_it_is_exact_float32(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False, raising=False)
    model, z = light(), torch.randn(2, 4, 4, 4)
    assert torch.equal(model.decode(z), (model.decoder(z) + 1) / 2)


def test_the_seed_says_all_and_leaves_the_global_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = light(seed=1)
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(6)
    assert light(seed=1).fingerprint() == first.fingerprint() != light(seed=2).fingerprint()


def test_gradients_reach_every_parameter():
    model = light()
    model.decode(model.encode(torch.rand(2, 3, 32, 32))).square().sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


def test_all_that_trains_is_encoder_or_decoder():
    names = [name.split(".")[0] for name, _ in light().named_parameters()]
    assert set(names) == {"encoder", "decoder"}


def test_frequencies_are_orthonormal_and_the_strongest_come_first():
    basis, spread = frequencies(4, 48)
    torch.testing.assert_close(basis @ basis.T, torch.eye(48), rtol=0, atol=1e-5)
    assert (spread.diff() <= 0).all() and spread[0] == 4
    torch.testing.assert_close(basis[0], torch.full((48,), 48**-0.5))  # brightness
    assert basis[1].reshape(3, 16).std(1).max() < 1e-6  # a colour difference, constant over the patch
    slope = frequencies(8, 4)[0][3].reshape(3, 8, 8)  # half a wave of brightness across
    torch.testing.assert_close(slope, slope[:1, :1].expand(3, 8, 8))
    assert (slope[0, 0].diff() < 0).all()


def test_with_more_channels_than_frequencies_the_others_are_empty():
    basis, spread = frequencies(4, 50)
    assert basis.shape == (50, 48) and not basis[48:].any() and torch.equal(spread[48:], torch.ones(2))


@torch.no_grad()
def test_training_starts_from_a_small_jpeg():
    small = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    images = torch.nn.functional.interpolate(small, size=64, mode="bilinear", align_corners=True)
    for channels, sub, left in ((16, 1, 0.02), (16, 2, 0.04), (48, 4, 0.02)):
        model = build(AutoencoderConfig("light", channels=channels, sub=sub, start="scratch"))
        assert (model.decode(model.encode(images)) - images).square().mean() < left * images.var()
        assert 0.3 < model.encode(images).std() < 3


@torch.no_grad()
def test_a_part_of_a_latent_pixel_sees_its_quarter_of_the_patch_in_its_own_channels():
    model = build(AutoencoderConfig("light", channels=16, width=16, blocks=1))
    images = torch.full((1, 3, 32, 32), 0.5)
    images[..., 8:12, 12:16] = 1.0  # the upper right quarter of the latent pixel in row 1, column 1
    moved = model.encoder.linear(2 * images - 1).abs() > 1e-6
    assert moved.nonzero()[:, 2:].unique(dim=0).tolist() == [[1, 1]]
    assert moved[0, :, 1, 1].view(4, 4).any(0).tolist() == [False, True, False, False]


@torch.no_grad()
def test_an_encoder_that_starts_with_colours_sees_the_mean_colour_of_each_part():
    config = AutoencoderConfig("light", channels=12, width=16, blocks=1, sub=2, start="colours")
    model, images = build(config), torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    z = model.encode(images)
    means = torch.nn.functional.avg_pool2d(images, 4)
    torch.testing.assert_close(z, model.encode(means.repeat_interleave(4, 2).repeat_interleave(4, 3)))
    # Brightness and two differences of colours: three numbers for each part, from which its colours can be mixed.
    given, wanted = (x.transpose(0, 1).flatten(1).T for x in (torch.nn.functional.pixel_shuffle(z, 2), 2 * means - 1))
    torch.testing.assert_close(given @ torch.linalg.lstsq(given, wanted).solution, wanted)
    scratch = build(replace(config, start="scratch"))
    assert not torch.allclose(scratch.encode(images), z)
    assert torch.equal(scratch.decode(z), model.decode(z))  # the decoder starts alike


def test_pixel_norm_gives_every_pixel_a_root_mean_square_of_one():
    norm, x = PixelNorm(4), torch.tensor([3.0, -3.0, 3.0, 3.0]).reshape(1, 4, 1, 1) * torch.tensor([1.0, 100.0])
    torch.testing.assert_close(norm(x), x.sign(), rtol=0, atol=1e-6)
    with torch.no_grad():
        norm.gain[1] = 2
    assert norm(x)[0, :, 0, 1].tolist() == pytest.approx([1, -2, 1, 1])


def test_pixel_norm_of_nothing_is_nothing():
    x = torch.zeros(1, 4, 2, 2, requires_grad=True)
    y = PixelNorm(4)(x)
    y.sum().backward()
    assert not y.any() and x.grad.isfinite().all()


def test_a_block_is_nearly_the_identity_at_first():
    torch.manual_seed(0)
    x = torch.randn(2, 16, 8, 8)
    moved = ResidualBlock(16)(x) - x
    assert 0 < moved.square().mean().sqrt() < 0.15


def test_training_on_one_batch_leaves_little_of_its_variance():
    torch.manual_seed(0)
    small = torch.rand(4, 3, 8, 8)
    images = torch.nn.functional.interpolate(small, size=32, mode="bilinear", align_corners=True)
    model = light(f=4)
    optimizer = Muon(model.parameters())
    losses = []
    for _ in range(100):
        loss = torch.nn.functional.mse_loss(model.decode(model.encode(images)), images)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()) / float(images.var()))
    assert losses[0] > 0.2 and losses[-1] < 1 / 30  # 0.277 and 0.0277
