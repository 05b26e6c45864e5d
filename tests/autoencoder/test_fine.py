"""Autoencoders at full resolution: they start as the identity, and mend from there."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from tda_nerfstudio.autoencoder.build import build
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.autoencoder.fine import FineAutoencoder
from tda_nerfstudio.autoencoder.muon import Muon

KINDS = ["colours", "fine"]


def fine(kind: str, seed: int = 0) -> FineAutoencoder:
    model = build(AutoencoderConfig(kind), seed)
    assert isinstance(model, FineAutoencoder)
    return model


@pytest.mark.parametrize("trains", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_at_first_latents_are_pixels_and_decoding_gives_them_back(kind, trains):
    """In training too, where the networks compute in bfloat16: they add exactly nothing."""
    model, images = fine(kind), torch.rand(2, 3, 6, 8)
    with torch.set_grad_enabled(trains):
        z = model.encode(images)
        assert torch.equal(z, pixel_unshuffle(2 * images - 1, 2))
        torch.testing.assert_close(model.decode(z), images, rtol=0, atol=1e-6)
        other = torch.randn(2, 12, 3, 4)
        assert torch.equal(model.decode(other), (pixel_shuffle(other, 2) + 1) / 2)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_normalised_latents_decode_to_the_image_too(kind):
    model, images = fine(kind), 0.1 + 0.8 * torch.rand(2, 3, 6, 8)
    z = model.encode(images)
    model.calibrate(z)
    y = model.normalise(z)
    assert y.abs().max() < 1
    torch.testing.assert_close(model.decode(model.denormalise(y)), images, rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_normaliser_of_colours_does_nothing_and_that_of_fine_is_any_other_s():
    pixels = torch.tensor([-1.0, -0.3, 0.0, 1.0])
    for kind in KINDS:
        model = fine(kind)
        model.calibrate(2 * torch.rand(4, 12, 8, 8) - 1)
        same = kind == "colours"
        assert model.keeps_pixels == same and (float(model.latent_scale) == 1) == same
        wanted = pixels if same else torch.tanh(model.latent_scale * pixels)
        assert torch.equal(model.normalise(pixels), wanted)
        torch.testing.assert_close(model.denormalise(wanted), pixels)


@pytest.mark.parametrize("kind", KINDS)
def test_empty_space_is_white(kind):
    model = fine(kind)
    model.measure_background(16, 16)
    torch.testing.assert_close(model.background, model.normalise(torch.ones(12)))


def test_the_encoder_of_colours_has_nothing_to_learn():
    assert not list(fine("colours").encoder.parameters())
    for kind in KINDS:
        names = {name.split(".")[0] for name, _ in fine(kind).named_parameters()}
        assert names == ({"decoder"} if kind == "colours" else {"encoder", "decoder"})


def test_the_seed_says_all():
    for kind in KINDS:
        assert fine(kind, 1).fingerprint() == fine(kind, 1).fingerprint() != fine(kind, 2).fingerprint()


@pytest.mark.parametrize("kind", KINDS)
def test_what_renderings_lose_is_mended(kind):
    """Blurred latents decode to less blurred images after a few steps, and every weight took part."""
    torch.manual_seed(0)
    images = torch.nn.functional.interpolate(torch.rand(4, 3, 8, 8), size=32, mode="nearest")
    model = fine(kind)
    with torch.no_grad():
        blurred = torch.nn.functional.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer, losses = Muon(model.parameters()), []
    for _ in range(30):
        loss = (model.decode(model.encode(blurred)) - images).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]  # a twentieth, and a fortieth
    assert not [name for name, p in model.named_parameters() if torch.equal(p, before[name])]
