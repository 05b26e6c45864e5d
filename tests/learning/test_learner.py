"""What moves in which phase, what happens once, and what a step leaves behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.amp.grad_scaler import GradScaler

from tda_nerfstudio.autoencoder.identity import IdentityAutoencoder
from tda_nerfstudio.core import occupancy
from tda_nerfstudio.learning import learner as learner_module
from tda_nerfstudio.learning import training_step
from tda_nerfstudio.learning.batches import Batches, StepSize
from tda_nerfstudio.learning.timeline import RAMP

MOVING = {
    "warm-up": {"encoder", "decoder"},
    "latent": {"micro", "weights", "base", "mlp"},
    "joint": {"encoder", "decoder", "micro", "weights", "base", "mlp"},
}


def train(learner, steps: range) -> None:
    """Take steps."""
    for step in steps:
        learner.step(step)


def test_twelve_steps_are_four_of_each_phase(learner) -> None:
    assert [(span.phase.name, span.start, span.end) for span in learner.wave.spans] == [
        ("warm-up", 0, 4),
        ("latent", 4, 8),
        ("joint", 8, 12),
    ]


@pytest.mark.parametrize(
    ("step", "phase"), [(0, "warm-up"), (3, "warm-up"), (4, "latent"), (8, "joint"), (12, "joint")]
)
def test_a_step_moves_its_phases_groups_and_no_other(learner, step: int, phase: str) -> None:
    learner.prepare(step)
    for name, params in learner.training.groups.items():
        assert {param.requires_grad for param in params} == {name in MOVING[phase]}, name


def test_groups_that_stand_still_keep_every_bit(learner) -> None:
    before = {name: [p.clone() for p in params] for name, params in learner.training.groups.items()}
    train(learner, range(4))
    changed = {
        name
        for name, params in learner.training.groups.items()
        if any(not torch.equal(old, new) for old, new in zip(before[name], params, strict=True))
    }
    assert changed == MOVING["warm-up"]


def test_in_a_space_of_colours_the_decoder_alone_of_the_autoencoder_moves_and_latents_are_pixels(configure) -> None:
    learner = configure(kind="colours").pipeline.setup(device="cpu", test_mode="val").learner
    assert [span.phase.name for span in learner.wave.spans] == ["warm-up", "latent", "joint"]
    assert not learner.training.groups.get("encoder")
    for span in learner.wave.spans:
        learner.prepare(span.start)
        moving = {name for name, params in learner.training.groups.items() if any(p.requires_grad for p in params)}
        assert moving == MOVING[span.phase.name] - {"encoder"}
        losses = learner.step(span.start)
        assert losses.keys() == span.phase.losses.keys() and all(loss.isfinite() for loss in losses.values())
    assert learner.batches.latents.cache is None and float(learner.codec.latent_scale) == 1
    assert (learner.codec.background == 1).all()


def test_scenes_begin_in_their_visual_hulls_and_never_leave_them(learner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occupancy, "REFRESH_EVERY", 1)
    learner.scenes.head.bias.data[0] = 9.0  # dense everywhere
    learner.prepare(0)
    hulls = torch.stack([learner.hulls[row] for row in range(4)])
    assert torch.equal(learner.scenes.occupied, hulls) and 0 < hulls.float().mean() < 0.5
    train(learner, range(12))
    assert not (learner.scenes.occupied & ~hulls).any() and learner.scenes.occupied.any()


def test_a_scene_without_a_hull_keeps_all_its_space(learner, monkeypatch: pytest.MonkeyPatch) -> None:
    silhouettes = learner.batches.silhouettes
    hull = silhouettes.hull
    monkeypatch.setattr(silhouettes, "hull", lambda row, *given: None if row == 2 else hull(row, *given))
    learner.prepare(0)
    assert learner.hulls.keys() == {0, 1, 3} and learner.scenes.occupied[2].all()


def test_learning_rates_are_the_phases_ramped_and_decayed_as_plain_floats(learner) -> None:
    learner.prepare(5)
    phase = learner.wave.spans[1].phase
    for name, rate in phase.rates.items():
        lr = learner.training.optimizers[name].param_groups[0]["lr"]
        assert type(lr) is float
        assert lr == pytest.approx(rate * (2 / RAMP) * phase.final_rate ** (1 / 4))


def test_optimizer_states_are_dropped_when_their_phase_begins_and_only_then(learner) -> None:
    train(learner, range(8))
    states = {name: optimizer.state for name, optimizer in learner.training.optimizers.items()}
    assert all(states[name] for name in MOVING["joint"])
    learner.prepare(8)
    assert not any(states[name] for name in MOVING["joint"])
    train(learner, range(8, 9))
    learner.span = None  # as after a restart in the middle of the phase
    learner.prepare(9)
    assert all(states[name] for name in MOVING["joint"])


def test_scenes_look_where_they_are_empty_in_phases_that_render_and_at_first_only_claim_space(
    learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    scenes = learner.scenes
    monkeypatch.setattr(scenes, "refresh", lambda scene, background, grow, within: seen.append((scene.tolist(), grow)))
    monkeypatch.setattr(occupancy, "REFRESH_EVERY", 2)
    train(learner, range(12))
    visited = [learner.batches.draw(step)[0].tolist() for step in (4, 6, 8, 10)]
    assert seen == list(zip(visited, [True, False, True, False], strict=True))


def test_every_scene_is_looked_at_as_often_as_any_other_where_steps_do_not_divide_them(
    learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: Counter[int] = Counter()
    learner.batches.size = replace(learner.batches.size, scenes=3)  # of four
    monkeypatch.setattr(learner.scenes, "refresh", lambda scene, *_: seen.update(scene.tolist()))
    monkeypatch.setattr(occupancy, "REFRESH_EVERY", 3)
    for step in range(4, 12):  # 24 visits: six rounds, of which the fourth is whole, so that two looks are due
        learner.prepare(step)
    rounds = [visit for step in range(4, 12) for visit in learner.batches.draw(step)[1]]
    assert set(rounds) == {3, 4, 5, 6, 7, 8} and seen == dict.fromkeys(range(4), 2)


def test_three_of_ten_scenes_a_step_are_all_looked_at_in_every_sixteenth_round() -> None:
    views = SimpleNamespace(names=[str(i) for i in range(10)], height=8, width=8)
    batches = Batches(views, IdentityAutoencoder(), StepSize(scenes=3), seed=0)  # type: ignore[arg-type]
    seen: Counter[int] = Counter()
    for step in range(160):  # 48 rounds
        seen.update(occupancy.due_scenes(*batches.draw(step), 0.5)[0].tolist())
    assert seen == dict.fromkeys(range(10), 3)


def test_the_latent_scale_is_measured_once_when_rendering_begins(learner) -> None:
    train(learner, range(4))
    assert float(learner.codec.latent_scale) == 1
    learner.prepare(4)
    with torch.no_grad():
        latents = learner.codec.encode(learner.batches.views.images(learner.batches.views.train, torch.arange(32)))
    expected = 1 / (3 * latents.std())
    assert float(learner.codec.latent_scale) == pytest.approx(float(expected), rel=1e-4)
    before = learner.codec.latent_scale.clone()
    train(learner, range(4, 8))
    assert torch.equal(learner.codec.latent_scale, before)


def test_while_the_encoder_trains_the_latent_scale_follows_that_of_its_batches(learner) -> None:
    from tda_nerfstudio.autoencoder.base import SCALE_PACE

    train(learner, range(8))
    codec, before = learner.codec, float(learner.codec.latent_scale)
    learner.prepare(8)
    batch = 1 / (3 * float(codec.encode(learner.batches.batch(8, learner.wave.spans[2].phase).images).std()))
    assert batch != pytest.approx(before, rel=1e-4)
    train(learner, range(8, 9))
    assert float(codec.latent_scale) == pytest.approx(before + SCALE_PACE * (batch - before), rel=1e-5)


def test_cached_latents_are_those_of_the_images_and_are_dropped_when_the_encoder_moves(
    pipeline, learner, tmp_path: Path
) -> None:
    pipeline.keep_latents(tmp_path)  # no other run has this autoencoder
    train(learner, range(4))
    learner.prepare(4)
    index = torch.tensor([9, 3, 30])
    encode = learner.codec
    with torch.no_grad():
        expected = encode.normalise(encode.encode(learner.batches.views.images(learner.batches.views.train, index)))
    assert torch.allclose(
        learner.batches.latents(index), expected, atol=2**-11
    )  # half a step of float16 below 1, and a bit
    cache = learner.batches.latents.cache
    learner.prepare(7)
    assert learner.batches.latents.cache is cache
    learner.prepare(8)
    assert learner.batches.latents.cache is None
    assert not list(tmp_path.iterdir())


def measured(learner, monkeypatch: pytest.MonkeyPatch, steps: range) -> list[int]:
    """Name the steps before which the background is measured."""
    found: list[int] = []
    monkeypatch.setattr(learner_module, "BACKGROUND_EVERY", 2)
    for step in steps:
        monkeypatch.setattr(learner, "measure_background", lambda step=step: found.append(step))
        learner.prepare(step)
    return found


def test_the_background_is_measured_again_while_the_encoder_trains(learner, monkeypatch) -> None:
    assert measured(learner, monkeypatch, range(12)) == [0, 2, 4, 8, 10]


def test_a_run_resumed_where_the_background_is_due_measures_it(learner, monkeypatch) -> None:
    assert measured(learner, monkeypatch, range(10, 12)) == [10]


def test_an_enabled_scaler_means_mixed_precision_and_changes_losses_little(pipeline, learner, monkeypatch) -> None:
    objective, enabled = training_step.objective, []

    def noted(*args):
        enabled.append(torch.is_autocast_enabled("cpu"))
        return objective(*args)

    monkeypatch.setattr(training_step, "objective", noted)
    mixed = pipeline.config.setup(device="cpu", grad_scaler=GradScaler("cpu")).learner
    for step in range(12):
        losses, expected = mixed.step(step), learner.step(step)
        for name, value in expected.items():
            assert losses[name].isfinite() and float(losses[name]) == pytest.approx(float(value), rel=0.1), (step, name)
    assert enabled == [True, False] * 12
