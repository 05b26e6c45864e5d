"""Without an autoencoder latents are pixels."""

from __future__ import annotations

import torch
from torch.nn.functional import pixel_shuffle

from tda_nerfstudio.autoencoder.identity import IdentityAutoencoder


def test_latents_are_pixels_from_minus_one_to_one():
    model, images = IdentityAutoencoder(), torch.rand(2, 3, 6, 8)
    z = model.encode(images)
    torch.testing.assert_close(pixel_shuffle(z, 2), 2 * images - 1)
    torch.testing.assert_close(model.decode(z), images, rtol=0, atol=1e-6)
    assert (model.f, model.channels, model.sub, model.point_channels) == (2, 12, 2, 3) and model.keeps_pixels


def test_odd_images_are_padded_with_their_last_pixels():
    model, images = IdentityAutoencoder(), torch.rand(2, 3, 5, 7)
    z = model.encode(images)
    assert z.shape == (2, 12, 3, 4)
    decoded = model.decode(z)
    torch.testing.assert_close(decoded[..., :5, :7], images, rtol=0, atol=1e-6)
    torch.testing.assert_close(decoded[..., :5, 7], images[..., 6], rtol=0, atol=1e-6)
    torch.testing.assert_close(decoded[..., 5, :7], images[..., 4, :], rtol=0, atol=1e-6)


def test_the_normaliser_does_nothing():
    model, z = IdentityAutoencoder(), torch.tensor([-1.5, -1.0, 0.3, 1.0])
    assert torch.equal(model.normalise(z), z) and torch.equal(model.denormalise(z), z)


def test_nothing_trains():
    assert not list(IdentityAutoencoder().parameters())


def test_neither_calibrating_nor_measuring_changes_anything():
    model = IdentityAutoencoder()
    before = model.fingerprint()
    model.calibrate(torch.randn(2, 12, 4, 4))
    model.measure_background(4, 4)
    assert model.fingerprint() == before and model.background.tolist() == [1] * 12 and model.latent_scale == 1


def test_a_damaged_background_is_measured_as_white_again():
    model = IdentityAutoencoder()
    model.background.zero_()
    model.measure_background(4, 4)
    assert model.background.tolist() == [1] * 12
