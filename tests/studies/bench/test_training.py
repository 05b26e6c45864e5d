"""Steps are those that the methods take."""

from __future__ import annotations

import pytest
import torch

from tda_nerfstudio.autoencoder.muon import Muon
from tda_nerfstudio.core.row_adam import RowAdam
from tda_nerfstudio.studies.bench import training
from tda_nerfstudio.studies.bench.training import PHASES
from tda_nerfstudio.studies.bench.workshop import BenchSizes, Workshop


def ours(shop: Workshop, phase: str):
    scenes, codec = shop.scenes(3), shop.codec()
    return scenes, codec, training.Ours(PHASES[phase], scenes, codec, shop.sizes.sampling)


def test_settings_are_the_methods_own():
    methods = pytest.importorskip("tda_nerfstudio.methods", reason="nerfstudio is not installed")
    model = methods.tda_rgb.config.pipeline.model
    assert BenchSizes().rgb_sampling == model.sampling and BenchSizes().rgb_triplane == model.triplane
    assert BenchSizes().rgb_rays == methods.tda_rgb.config.pipeline.datamanager.rays_per_view
    latent = methods.tda_scenes.config.pipeline.model
    assert (BenchSizes().sampling, BenchSizes().triplane) == (latent.sampling, latent.triplane)
    assert BenchSizes().autoencoder == latent.autoencoder


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
    trained.step(shop.batch(0, 3, 2, 2, codec.f), shop.stopwatch(), 1.0)
    moved = {group for group, value in groups.items() if not torch.equal(value, before[group])}
    assert moved == {group for group in PHASES[phase].rates if groups[group].numel()}


def test_a_timed_step_moves_nothing_and_names_its_parts(shop: Workshop):
    scenes, _, trained = ours(shop, "joint")
    before, watch = scenes.micro.detach().clone(), shop.stopwatch()
    trained.step(shop.batch(0, 3, 2, 2, 4), watch)
    assert torch.equal(scenes.micro, before)
    assert list(watch.parts) == ["encode", "decode", "fuse", "march", "losses", "backward", "optimizer"]
    assert trained.state_bytes() > 2 * scenes.micro.nbytes


def test_a_batch_is_the_same_for_the_same_step_and_as_asked(shop: Workshop):
    batch, again, other = (shop.batch(step, 3, 2, 4, 4) for step in (5, 5, 6))
    assert torch.equal(batch.images, again.images) and not torch.equal(batch.images, other.images)
    assert batch.slot.tolist() == [0, 0, 0, 0, 1, 1, 1, 1] and len(batch.scene.unique()) == 2
    assert batch.images.shape == (8, 3, 16, 16) and batch.latents.shape == (8, 16, 4, 4)
    area = 2 * batch.images[3, 1, 4:8, 8:12].mean() - 1
    assert float(batch.latents[3, 1, 1, 2]) == pytest.approx(float(area), abs=1e-6)
    some = shop.batch(5, 3, 2, 4, 1, rays=7)
    assert some.pixels.shape == (8, 7) and some.pixels.max() < 256 and some.latents.shape == (8, 3, 16, 16)


def test_random_batches_name_each_scene_once(shop: Workshop):
    batch = shop.random_batch(0, 3, 16, 4)
    assert batch.scene.tolist() == [0, 1, 2] and len(batch.slot) == len(batch.latents) == 16
