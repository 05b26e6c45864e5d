"""What all autoencoders share: the normaliser, the background, fingerprints, value ranges."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tda_nerfstudio.autoencoder.base import CLIP, SCALE_PACE, Autoencoder, reduced_precision
from tda_nerfstudio.autoencoder.build import build
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.base.errors import TdaError


class Averages(Autoencoder):
    """Latents are the means of 2 x 2 pixels, channel 0 alone and the sum of all; decoding repeats channel 0."""

    def __init__(self):
        super().__init__(2, 2)
        self.encoder, self.decoder = nn.AvgPool2d(2), nn.Upsample(scale_factor=2)

    def _encode(self, images, noise):
        z = self.encoder(images)
        z = torch.stack([z[:, 0], z.sum(1)], 1)
        return z if noise is None else z + noise

    def _decode(self, latents):
        return self.decoder(latents[:, :1].expand(-1, 3, -1, -1))


def light(seed=0):
    return build(AutoencoderConfig(f=4, channels=3, width=16, blocks=1), seed)


def test_images_reach_the_encoder_from_minus_one_to_one():
    images = torch.tensor([0.0, 0.5, 1.0]).reshape(3, 1, 1, 1).expand(3, 3, 2, 2)
    z = Averages().encode(images)
    assert z.shape == (3, 2, 1, 1) and z.flatten(1).tolist() == [[-1, -3], [0, 0], [1, 3]]


def test_images_leave_the_decoder_from_zero_to_one_without_a_clamp():
    z = torch.tensor([-1.0, 0.5, 1.5]).reshape(3, 1, 1, 1).expand(3, 2, 1, 1)
    images = Averages().decode(z)
    assert images.shape == (3, 3, 2, 2) and images[:, 0, 0, 0].tolist() == [0, 0.75, 1.25]


def test_noise_goes_to_the_encoder():
    images, noise = torch.rand(1, 3, 4, 4), torch.randn(1, 2, 2, 2)
    model = Averages()
    torch.testing.assert_close(model.encode(images, noise) - model.encode(images), noise)


@pytest.mark.parametrize(("height", "width"), [(6, 8), (8, 6), (7, 7), (1, 4)])
def test_images_that_do_not_divide_by_f_are_continued_by_their_last_pixels(height, width):
    images, model = torch.rand(2, 3, height, width), light()
    rows, columns = torch.arange(-(-height // 4) * 4), torch.arange(-(-width // 4) * 4)
    whole = images[:, :, rows.clamp(max=height - 1)][..., columns.clamp(max=width - 1)]
    latents = model.encode(images)
    assert latents.shape[-2:] == (-(-height // 4), -(-width // 4))
    assert torch.equal(latents, model.encode(whole))


def test_normalising_is_tanh_of_the_scaled_latent():
    model = Averages()
    model.latent_scale.fill_(0.5)
    assert model.normalise(torch.tensor([0.0, 2.0, -4.0])).tolist() == pytest.approx([0, math.tanh(1), -math.tanh(2)])


@pytest.mark.parametrize("scale", [0.05, 1.0, 7.0])
def test_denormalising_undoes_normalising_within_the_clip(scale):
    model = Averages()
    model.latent_scale.fill_(scale)
    z = torch.linspace(-3.5, 3.5, 101) / scale  # tanh(3.5) is 1 - 0.0018, well within the clip
    torch.testing.assert_close(model.denormalise(model.normalise(z)), z, rtol=1e-4, atol=1e-6 / scale)
    y = torch.linspace(-1 + CLIP, 1 - CLIP, 101)
    torch.testing.assert_close(model.normalise(model.denormalise(y)), y, rtol=0, atol=1e-6)


def test_beyond_the_clip_latents_stay_finite():
    model = Averages()
    model.latent_scale.fill_(2.0)
    z = model.denormalise(torch.tensor([-2.0, -1.0, 1.0, 2.0]))
    limit = math.atanh(1 - CLIP) / 2
    assert z.tolist() == pytest.approx([-limit, -limit, limit, limit], rel=1e-3)


def test_calibrating_puts_three_standard_deviations_at_one():
    model = Averages()
    z = torch.tensor([-2.0, 2.0]).repeat(500).reshape(10, 2, 5, 10)  # mean 0
    model.calibrate(z)
    std = math.sqrt(4 * 1000 / 999)
    assert model.latent_scale.item() == pytest.approx(1 / (3 * std), rel=1e-6)
    assert model.normalise(torch.tensor(3 * std)).item() == pytest.approx(math.tanh(1), rel=1e-6)


@pytest.mark.parametrize("z", [torch.zeros(2, 2, 3, 3), torch.full((2, 2, 3, 3), float("nan"))])
def test_latents_that_say_nothing_cannot_calibrate(z):
    model = Averages()
    with pytest.raises(TdaError, match="it encodes nothing"):
        model.calibrate(z)
    assert model.latent_scale == 1


def test_the_background_is_the_normalised_latent_of_white():
    model = Averages()
    model.latent_scale.fill_(0.25)
    model.measure_background(8, 12)
    assert model.background.tolist() == pytest.approx([math.tanh(0.25), math.tanh(0.75)])
    assert not model.background.requires_grad


def test_the_background_is_the_median_away_from_the_border():
    class Padded(Averages):
        def _encode(self, images, noise):
            z = torch.full((1, 2, 8, 8), 0.5)
            z[..., 0], z[..., -1, :] = 9.0, -9.0  # what zero padding leaves
            z[:, 1, 3, 3] = 99.0  # one odd pixel
            z[:, 1, 2:6, 2:6] += 0.1
            return z

    model = Padded()
    model.measure_background(16, 16)
    assert model.background.tolist() == pytest.approx([math.tanh(0.5), math.tanh(0.6)])


@torch.no_grad()
@pytest.mark.parametrize("size", [4, 8, 12])
def test_the_background_of_tiny_images(size):
    model = light()
    model.measure_background(size, size)
    white = model.normalise(model.encode(torch.ones(1, 3, size, size)))[0]
    torch.testing.assert_close(model.background, white[:, -1, -1], rtol=0, atol=1e-6)
    assert model.background.any()


def test_fingerprints_are_stable_and_see_every_tensor():
    model = light()
    print_ = model.fingerprint()
    assert len(print_) == 16 and int(print_, 16) and light().fingerprint() == print_
    seen = {print_}
    for tensor in model.state_dict().values():
        before = tensor.clone()
        tensor[(-1,) * tensor.ndim].add_(1e-3)  # a view, of a scalar too
        seen.add(model.fingerprint())
        tensor.copy_(before)
        assert model.fingerprint() == print_
    assert len(seen) == 1 + len(model.state_dict())


def test_fingerprints_ignore_the_layout_in_memory():
    model = light()
    print_ = model.fingerprint()
    assert model.to(memory_format=torch.contiguous_format).fingerprint() == print_


def test_fingerprints_tell_shapes_apart():
    with torch.no_grad():
        models = [build(AutoencoderConfig(f=f, channels=c, width=16, blocks=1)) for f, c in ((4, 3), (4, 4), (8, 3))]
    assert len({model.fingerprint() for model in models}) == 3


def test_precision_is_full_outside_training_and_in_float64():
    with torch.no_grad(), reduced_precision(torch.zeros(1)):
        assert not torch.is_autocast_enabled("cpu")
    with reduced_precision(torch.zeros(1, dtype=torch.float64)):
        assert not torch.is_autocast_enabled("cpu")


def test_in_training_values_stay_float32_and_near_the_exact_ones():
    model, images = light(), torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        exact = model.decode(model.encode(images))
    trained = model.decode(model.encode(images))
    assert trained.dtype == torch.float32 and trained.requires_grad
    assert (trained - exact).abs().max() < 0.02 * exact.abs().max()  # bfloat16 has eight bits


def test_a_moving_scale_neither_rewards_growing_nor_shrinking_latents():
    model, gain = Averages(), torch.tensor(1.0, requires_grad=True)
    z = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(3))
    y = model.normalise_moving(gain * z)
    torch.testing.assert_close(y.detach(), torch.tanh(z / (3 * z.std())))
    (felt,) = torch.autograd.grad(y.square().mean(), gain)
    assert abs(float(felt)) < 1e-6


def test_the_latent_scale_follows_the_batches():
    model, z = Averages(), torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(3))
    model.normalise_moving(z)
    first = 1 + SCALE_PACE * (1 / (3 * float(z.std())) - 1)
    assert float(model.latent_scale) == pytest.approx(first, rel=1e-6)
    for _ in range(400):
        model.normalise_moving(z)
    assert float(model.latent_scale) == pytest.approx(1 / (3 * float(z.std())), rel=1e-5)
