"""Steps are those that the methods take."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import avg_pool2d, max_pool2d, pixel_unshuffle

from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.autoencoder.muon import Muon
from tda_nerfstudio.core.row_adam import RowAdam
from tda_nerfstudio.learning.latents import PIXEL_VARIANCE
from tda_nerfstudio.learning.silhouettes import MARGIN
from tda_nerfstudio.studies.bench import training
from tda_nerfstudio.studies.bench.training import PHASES
from tda_nerfstudio.studies.bench.workshop import RGB, BenchSizes, Workshop


def ours(shop: Workshop, phase: str):
    scenes, codec = shop.scenes(3), shop.codec()
    return scenes, codec, training.Ours(PHASES[phase], scenes, codec, shop.sizes.sampling)


def test_settings_are_the_methods_own():
    methods = pytest.importorskip("tda_nerfstudio.methods", reason="nerfstudio is not installed")
    model, sizes = methods.tda_rgb.config.pipeline.model, BenchSizes()
    assert sizes.rgb_sampling == model.sampling and sizes.rgb_triplane == model.triplane
    assert model.autoencoder.kind == RGB.kind
    latent = methods.tda_scenes.config.pipeline.model
    assert (sizes.sampling, sizes.triplane) == (
        latent.sampling,
        replace(latent.triplane, macro_channels=22),
    )  # as published
    for method in (methods.tda_ae, methods.tda_scenes, methods.tda_rgb):
        assert sizes.step == method.config.pipeline.datamanager.step_size


def test_the_autoencoder_makes_latents_that_are_smaller_than_the_image():
    sizes = BenchSizes()
    assert sizes.autoencoder == AutoencoderConfig() and sizes.autoencoder.kind == "light"
    assert (sizes.f, sizes.sub) == (8, 4) and sizes.f // sizes.sub > RGB.f // RGB.sub


def test_optimizers_are_the_methods_own(shop: Workshop):
    *_, trained = ours(shop, "joint")
    kinds = {"micro": RowAdam, "weights": RowAdam, "encoder": Muon, "decoder": Muon}
    for (optimizer, rate), name in zip(trained.optimizers, PHASES["joint"].rates, strict=True):
        assert type(optimizer) is kinds.get(name, torch.optim.Adam) and rate == PHASES["joint"].rates[name]


@pytest.mark.parametrize("phase", PHASES)
def test_a_step_moves_what_its_phase_names_and_only_that(shop: Workshop, phase: str):
    rgb = phase == "rgb"
    scenes, codec = shop.scenes(3, rgb), shop.no_codec() if rgb else shop.codec()
    trained = training.Ours(PHASES[phase], scenes, codec, shop.sizes.rgb_sampling)
    names = {"micro": "micro", "weights": "weights", "base": "base", "mlp": "hidden.weight"}
    groups = {group: scenes.get_parameter(name) for group, name in names.items()}
    groups |= {
        group: next(iter(getattr(codec, group).parameters()), torch.zeros(0)) for group in ("encoder", "decoder")
    }
    before = {group: value.detach().clone() for group, value in groups.items()}
    rays = 8 if shop.sizes.step.takes_parts(PHASES[phase]) else None
    trained.step(shop.batch(0, 3, 2, 2, rgb, rays), shop.stopwatch(), 1.0)
    moved = {group for group, value in groups.items() if not torch.equal(value, before[group])}
    assert moved == {group for group in PHASES[phase].rates if groups[group].numel()}


def test_a_timed_step_moves_nothing_and_names_its_parts(shop: Workshop):
    scenes, _, trained = ours(shop, "joint")
    before, watch = scenes.micro.detach().clone(), shop.stopwatch()
    trained.step(shop.batch(0, 3, 2, 2), watch)
    assert torch.equal(scenes.micro, before)
    assert list(watch.parts) == ["encode", "decode", "fuse", "march", "losses", "backward", "optimizer"]
    assert trained.state_bytes() > 2 * scenes.micro.nbytes


def test_a_batch_is_the_same_for_the_same_step_and_as_asked(shop: Workshop):
    batch, again, other = (shop.batch(step, 3, 2, 4) for step in (5, 5, 6))
    assert torch.equal(batch.images, again.images) and not torch.equal(batch.images, other.images)
    assert batch.slot.tolist() == [0, 0, 0, 0, 1, 1, 1, 1] and len(batch.scene.unique()) == 2
    assert batch.images.shape == (8, 3, 16, 16) and batch.latents.shape == (8, 16, 4, 4)
    area = 2 * batch.images[3, 1, 4:8, 8:12].mean() - 1
    assert float(batch.latents[3, 1, 1, 2]) == pytest.approx(float(area), abs=1e-6)
    rgb = shop.batch(5, 3, 2, 4, rgb=True)
    assert torch.equal(rgb.latents, pixel_unshuffle(2 * batch.images - 1, 2)) and rgb.parts is None


def test_random_parts_are_those_of_the_whole_view_and_most_are_at_the_vehicle(shop: Workshop):
    batch, some = shop.batch(5, 3, 2, 4), shop.batch(5, 3, 2, 4, rays=16)
    index, latents, variance = some.parts
    assert some.latents is None and torch.equal(some.slot, batch.slot) and torch.equal(some.images, batch.images)
    assert index.shape == (8, 16) and index.max() < 64 and latents.shape == (8, 4, 16) and variance.shape == (8, 4, 1)
    assert torch.equal(index, shop.batch(5, 3, 2, 4, rays=16).parts.index)
    areas = 2 * avg_pool2d(batch.images, 4)[3] - 1  # 4 x 4 latent pixels of 2 x 2 parts: channel 4 c + part
    row, column = int(index[3, 2]) // 8, int(index[3, 2]) % 8
    part = row % 2 * 2 + column % 2
    assert float(latents[3, 0, 2]) == pytest.approx(float(areas[part % 4, row // 2, column // 2]) if part < 3 else 0)


def test_random_rays_of_rgb_are_single_pixels_at_the_vehicle(shop: Workshop):
    index, colours, variance = shop.batch(5, 3, 2, 4, rgb=True, rays=16).parts
    images = shop.batch(5, 3, 2, 4, rgb=True).images
    there = images.flatten(2).gather(2, index[:, None].expand(-1, 3, -1))
    torch.testing.assert_close(colours, 2 * there - 1)
    assert index.max() < 256 and variance.shape == (1, 1, 1) and float(variance) == pytest.approx(PIXEL_VARIANCE)
    empty = (images == 1).all(1, keepdim=True).float()
    near = 1 - (-max_pool2d(-empty, 2 * MARGIN + 1, stride=1, padding=MARGIN)).flatten(1)
    assert near.gather(1, index[:, :14]).all()  # one in eight may be anywhere


def test_random_batches_name_each_scene_once(shop: Workshop):
    batch = shop.random_batch(0, 3, 16)
    assert batch.scene.tolist() == [0, 1, 2] and len(batch.slot) == len(batch.latents) == 16
