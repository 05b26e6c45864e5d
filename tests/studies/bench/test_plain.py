"""The plain path against hand-computed numbers, and against our own renderer where the two must agree."""

from __future__ import annotations

import math

import pytest
import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.cameras import orbit
from tda_nerfstudio.core.objective import Batch
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.rendering import render_rays
from tda_nerfstudio.core.scenes import TriPlaneConfig
from tda_nerfstudio.studies.bench import plain
from tda_nerfstudio.studies.bench.ellipsoids import body_planes
from tda_nerfstudio.studies.bench.training import Plainly
from tda_nerfstudio.studies.bench.workshop import BenchSizes, Workshop

DOWN = torch.tensor([[[0.2, -0.1, 3.0]]]), torch.tensor([[[0.0, 0.0, -1.0]]])
"""One ray of one image; it enters [-1, 1]^3 at 2 and leaves it at 4."""


class Fog(plain.PlainScenes):
    """The same density everywhere; red is the share of the way from z = 1 to z = -1."""

    def look_up(self, planes, points):
        self.looked = [*getattr(self, "looked", []), points.shape[2]]
        red = (1 - points[..., 2]) / 2
        return torch.full(points.shape[:3], 0.7), torch.stack([red, 1 - red], -1)


def scenes(kind=plain.PlainScenes, count=2, channels=2, micro=2, macro=1, bases=2, resolution=4):
    return kind(count, channels, micro, macro, bases, resolution)


def test_everything_starts_as_published():
    made = scenes(resolution=16, micro=8, macro=8, bases=400)
    for name in ("micro", "weights", "base"):
        values = getattr(made, name).detach()
        assert abs(float(values.mean())) < 0.3 and abs(float(values.std()) - 1) < 0.15, name
    assert sum(p.numel() for p in plain.PlainScenes(1, 4, 10, 22, 1, 2).mlp.parameters()) == 2437


def test_planes_are_fused_for_every_image_alone():
    made = scenes()
    fused = made.planes(torch.tensor([1, 0, 1]))
    assert fused.shape == (3, 3, 3, 4, 4)
    torch.testing.assert_close(fused[0], fused[2], rtol=0, atol=0)
    torch.testing.assert_close(fused[1, :, :2], made.micro[0], rtol=0, atol=0)
    torch.testing.assert_close(fused[1, :, 2:], made.weights[0, 0] * made.base[0] + made.weights[0, 1] * made.base[1])


def test_planes_span_xy_xz_and_yz():
    made = scenes(micro=1, bases=0, channels=1)
    made.mlp = torch.nn.Sequential(torch.nn.Linear(1, 2))
    with torch.no_grad():
        made.mlp[0].weight.copy_(torch.tensor([[1.0], [0.0]]))
        made.mlp[0].bias.zero_()
        axis = torch.tensor([-0.75, -0.25, 0.25, 0.75])  # cell centres: inside them a ramp is its own interpolation
        planes = torch.zeros(1, 3, 1, 4, 4)
        planes[0, 0, 0] = axis[None] + 10 * axis[:, None]  # x + 10 y
        planes[0, 1, 0] = 100 * axis[:, None]  # 100 z, over (x, z)
        planes[0, 2, 0] = 1000 * axis[None]  # 1000 y, over (y, z)
        density, colour = made.look_up(planes, torch.tensor([[[[0.5, -0.3, 0.1]]]]))
    feature = 0.5 - 3 + 10 - 300
    assert float(density) == pytest.approx(math.log1p(math.exp(feature - 1)), abs=1e-6)
    with torch.no_grad():
        density, _ = made.look_up(planes, torch.tensor([[[[0.5, 0.3, -0.1]]]]))
    assert float(density) == pytest.approx(0.5 + 3 - 10 + 300 - 1, rel=1e-5)  # softplus of much is the same
    assert float(colour) == pytest.approx(0.5, abs=1e-6)


def test_light_shares_by_hand():
    density, lengths = torch.tensor([1.0, 2.0, 0.0]), torch.tensor([0.5, 0.25, 9.0])
    first, second = 1 - math.exp(-0.5), math.exp(-0.5) * (1 - math.exp(-0.5))
    assert plain.light_shares(density, lengths).tolist() == pytest.approx([first, second, 0])


def test_importance_by_hand():
    edges, weights = torch.tensor([[0.0, 1.0, 2.0, 4.0]]), torch.tensor([[0.0, 3.0, 1.0]])
    found = plain.importance(edges, weights, torch.tensor([[0.375, 0.75, 0.875]]))
    assert found[0].tolist() == pytest.approx([1.5, 2.0, 3.0], abs=1e-4)


def test_a_ray_through_fog_by_hand_with_colours_in_both_passes():
    fog, background = scenes(Fog), torch.tensor([-1.0, 1.0])
    seen = plain.march(fog, torch.zeros(1, 3, 3, 4, 4), *DOWN, background, samples=400)[0, 0]
    assert fog.looked == [400, 400]
    gone = math.exp(-0.7 * 2)  # optical depth: density times the way through the box
    red = (1 - gone * (1 + 0.7 * 2)) / (0.7 * 2)  # integral of t / 2 * 0.7 exp(-0.7 t) over the 2 units
    green = 1 - gone - red + gone  # and the white background
    assert ((seen + 1) / 2).tolist() == pytest.approx([red, green], abs=2e-3)


def test_jitter_moves_samples_and_the_seed_says_how():
    fog, planes, background = scenes(Fog), torch.zeros(1, 3, 3, 4, 4), torch.zeros(2)

    def march(seed):
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return plain.march(fog, planes, *DOWN, background, 4, generator)

    assert torch.equal(march(1), march(1)) and torch.equal(march(None), march(None))
    assert not torch.equal(march(1), march(2)) and not torch.equal(march(1), march(None))


@torch.no_grad()
def test_our_renderer_sees_the_same_scene(shop: Workshop):
    ours, theirs = shop.scenes(2), scenes(channels=4, micro=3, macro=2, bases=2, resolution=8)
    ours.box.copy_(torch.tensor([[-1.0] * 3, [1.0] * 3]))
    body = body_planes(torch.tensor([[0.6, 0.4, 0.5]]), ours.box, 8)
    ours.micro.view(2, 3, 8, 8, 3)[..., 0] = body
    theirs.micro.copy_(ours.micro.view(2, 3, 8, 8, 3).permute(0, 1, 4, 2, 3))
    theirs.base.copy_(ours.base.permute(0, 1, 4, 2, 3))
    theirs.weights.copy_(ours.weights)
    theirs.mlp[0].load_state_dict(ours.hidden.state_dict())
    theirs.mlp[2].load_state_dict(ours.head.state_dict())
    view = orbit(2, 2.5, 30.0, 40.0, (16, 16), torch.zeros(3))
    batch = Batch(torch.tensor([1, 0]), torch.tensor([0, 1]), view, 16, 16)
    background = torch.tensor([-0.4, 0.2, 1.0, 0.0])
    seen = plain.render(theirs, batch, 4, background, samples=600)[1].flatten(2).transpose(1, 2)
    origins, directions = plain.rays(view, plain.pixel_centres(4, 4).expand(2, -1, -1), 4)
    slot = torch.arange(2).repeat_interleave(16)
    fused = ours.planes(batch.scene)
    sampling = SamplingConfig(600, 600)
    single = directions.reshape(-1, 1, 3)
    out = render_rays(ours, fused, slot, origins.reshape(-1, 3), single, background, sampling)
    torch.testing.assert_close(seen.reshape(-1, 4), out.latent, rtol=0, atol=5e-3)
    assert 0.2 < float(out.opacity.mean()) < 0.9


def test_losses_of_every_phase(shop: Workshop):
    made, codec = shop.plain_scenes(3), shop.plain_codec()
    batch = shop.random_batch(0, 3, 2)
    for phase, weights in plain.LOSSES.items():
        if phase != "rgb":
            found = plain.losses(phase, made, codec, batch, 4, shop.background, 4)
            assert found.keys() == weights.keys() and all(loss.isfinite() for loss in found.values())
    found = plain.losses("latent", made, None, batch, 4, shop.background, 4)
    found = {name: float(loss.detach()) for name, loss in found.items()}
    planes, rendered = plain.render(made, batch, 4, shop.background, 4)
    assert found["latent"] == pytest.approx(float((rendered - batch.latents).square().mean()))
    steps = [(planes[..., 1:] - planes[..., :-1]), (planes[..., 1:, :] - planes[..., :-1, :])]
    assert found["tv"] == pytest.approx(1e-4 * sum(float(step.square().sum()) for step in steps), rel=1e-4)


def test_rgb_scenes_own_all_their_features_as_published(shop: Workshop):
    assert BenchSizes().planes(rgb=True, published=True).micro_channels == 32
    made, batch = shop.plain_scenes(3, rgb=True), shop.random_batch(0, 3, 2, rgb=True)
    assert made.micro.shape == (3, 3, 5, 8, 8) and not len(made.base)
    torch.testing.assert_close(batch.latents, 2 * batch.images - 1, rtol=0, atol=0)
    found = plain.losses("rgb", made, None, batch, 1, shop.background[:3], 4)
    rendered = plain.render(made, batch, 1, shop.background[:3], 4)[1]
    assert float(found["latent"].detach()) == pytest.approx(float((rendered - batch.latents).square().mean()))


def test_one_dense_adam_moves_scenes_that_are_not_there(shop: Workshop):
    made = shop.plain_scenes(3)
    trained = Plainly("encode-scene", made, None, 4, shop.background, 4)
    batch, watch = shop.random_batch(0, 3, 1), shop.stopwatch()
    other = next(s for s in range(3) if s not in batch.scene)
    trained.step(batch._replace(scene=torch.tensor([other])), watch, 1.0)
    before = made.micro[other].clone()
    trained.step(batch, watch, 1.0)
    assert not torch.equal(made.micro[other], before)
    assert len(trained.optimizers) == 1 and type(trained.optimizers[0][0]) is torch.optim.Adam


def test_the_autoencoder_has_stable_diffusions_shape():
    with torch.device("meta"):
        codec = plain.PlainAutoencoder(plain.SD_SHAPE)
    assert round(sum(p.numel() for p in codec.model.parameters()) / 1e6, 1) == 83.7
    assert codec.f == 8


def test_the_autoencoder_takes_images_from_zero_to_one_and_nu_is_undone(shop: Workshop):
    codec = shop.plain_codec()
    z = codec.encode(torch.rand(1, 3, 16, 16))
    assert z.shape == (1, 4, 4, 4) and codec.decode(z).shape == (1, 3, 16, 16)
    torch.testing.assert_close(codec.denormalise(torch.tanh(0.02 * z)), z, rtol=1e-3, atol=1e-4)


def test_without_diffusers_the_autoencoder_says_so(shop: Workshop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    with pytest.raises(TdaError, match="diffusers is missing .* pip install diffusers"):
        shop.plain_codec()


@torch.no_grad()
def test_the_density_that_is_timed_is_a_body_in_empty_space():
    shop = Workshop(BenchSizes(triplane=TriPlaneConfig(64, 2, 1, 1)), torch.device("cpu"))
    ours, theirs, first = shop.scenes(1), shop.plain_scenes(1), torch.tensor([0])
    points, slot = torch.tensor([[0.0, 0.0, 0.0], [0.3, 0.0, 0.0], [0.4, 0.2, 0.0], [0.0, 0.0, 0.2]]), torch.zeros(4)
    for density in (
        theirs.look_up(theirs.planes(first), points[None, None])[0][0, 0],
        ours.density(ours.features(ours.planes(first), points, slot.long())),
    ):
        assert (density[:2] > 5).all() and (density[2:] < 0.01).all()
