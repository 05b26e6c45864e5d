"""What moves in which phase, what happens once, and which checkpoints are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from nerfstudio.engine.optimizers import Optimizers
from tda_nerfstudio.plugin.evaluation import quality
from tda_nerfstudio.plugin.forecast import forecast

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core import occupancy
from tda_nerfstudio.learning.schedule import RAMP
from tda_nerfstudio.plugin import stage_one as stage_one_module
from tda_nerfstudio.plugin import tda_pipeline
from tda_nerfstudio.plugin.multi_scene_datamanager import MultiSceneDataManager

MOVING = {
    "warm-up": {"encoder", "decoder"},
    "latent": {"micro", "weights", "base", "mlp"},
    "joint": {"encoder", "decoder", "micro", "weights", "base", "mlp"},
}


@pytest.fixture
def optimizers(pipeline, configure: Callable) -> Optimizers:
    """The method's own optimizers over the pipeline's groups."""
    return Optimizers(configure().optimizers, pipeline.get_param_groups())


def train(pipeline, optimizers: Optimizers, steps: range) -> None:
    """Take steps as nerfstudio's trainer does."""
    for step in steps:
        pipeline.prepare(step, optimizers)
        optimizers.zero_grad_all()
        sum(pipeline.get_train_loss_dict(step)[1].values()).backward()
        optimizers.optimizer_step_all()


def test_twelve_steps_are_four_of_each_phase(pipeline) -> None:
    assert [(span.phase.name, span.start, span.end) for span in pipeline.waves[0].spans] == [
        ("warm-up", 0, 4),
        ("latent", 4, 8),
        ("joint", 8, 12),
    ]


@pytest.mark.parametrize(
    ("step", "phase"), [(0, "warm-up"), (3, "warm-up"), (4, "latent"), (8, "joint"), (12, "joint")]
)
def test_a_step_moves_its_phases_groups_and_no_other(pipeline, optimizers, step: int, phase: str) -> None:
    pipeline.prepare(step, optimizers)
    for name, params in pipeline.get_param_groups().items():
        assert {param.requires_grad for param in params} == {name in MOVING[phase]}, name


def test_groups_that_stand_still_keep_every_bit(pipeline, optimizers) -> None:
    before = {name: [p.clone() for p in params] for name, params in pipeline.get_param_groups().items()}
    train(pipeline, optimizers, range(4))
    changed = {
        name
        for name, params in pipeline.get_param_groups().items()
        if any(not torch.equal(old, new) for old, new in zip(before[name], params, strict=True))
    }
    assert changed == MOVING["warm-up"]


def test_learning_rates_are_the_phases_ramped_and_decayed_as_plain_floats(pipeline, optimizers) -> None:
    pipeline.prepare(5, optimizers)
    phase = pipeline.waves[0].spans[1].phase
    for name, rate in phase.rates.items():
        lr = optimizers.optimizers[name].param_groups[0]["lr"]
        assert type(lr) is float
        assert lr == pytest.approx(rate * (2 / RAMP) * phase.final_rate ** (1 / 4))


def test_optimizer_states_are_dropped_when_their_phase_begins_and_only_then(pipeline, optimizers) -> None:
    train(pipeline, optimizers, range(8))
    states = {name: optimizer.state for name, optimizer in optimizers.optimizers.items()}
    assert all(states[name] for name in MOVING["joint"])
    pipeline.prepare(8, optimizers)
    assert not any(states[name] for name in MOVING["joint"])
    train(pipeline, optimizers, range(8, 9))
    pipeline._span = None  # as after a restart in the middle of the phase
    pipeline.prepare(9, optimizers)
    assert all(states[name] for name in MOVING["joint"])


def test_scenes_look_where_they_are_empty_in_phases_that_render_and_at_first_only_claim_space(
    pipeline, optimizers, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    scenes = pipeline.model.field.scenes
    monkeypatch.setattr(scenes, "refresh", lambda scene, background, grow: seen.append((scene.tolist(), grow)))
    monkeypatch.setattr(occupancy, "REFRESH_EVERY", 2)
    train(pipeline, optimizers, range(12))
    visited = [pipeline.datamanager.draw(step)[0].tolist() for step in (4, 6, 8, 10)]
    assert seen == list(zip(visited, [True, False, True, False], strict=True))


def test_every_scene_is_looked_at_as_often_as_any_other_where_steps_do_not_divide_them(
    pipeline, optimizers, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: Counter[int] = Counter()
    pipeline.datamanager.config.scenes_per_step = 3  # of four
    monkeypatch.setattr(pipeline.model.field.scenes, "refresh", lambda scene, *_: seen.update(scene.tolist()))
    monkeypatch.setattr(occupancy, "REFRESH_EVERY", 3)
    for step in range(4, 12):  # 24 visits: six rounds, of which the fourth is whole, so that two looks are due
        pipeline.prepare(step, optimizers)
    rounds = [visit for step in range(4, 12) for visit in pipeline.datamanager.draw(step)[1]]
    assert set(rounds) == {3, 4, 5, 6, 7, 8} and seen == dict.fromkeys(range(4), 2)


def test_three_of_ten_scenes_a_step_are_all_looked_at_in_every_eighth_round() -> None:
    manager = SimpleNamespace(since=0, scene_names=range(10), scenes_at_once=3, config=SimpleNamespace(seed=0))
    seen: Counter[int] = Counter()
    for step in range(80):  # 24 rounds
        seen.update(occupancy.due_scenes(*MultiSceneDataManager.draw(manager, step), 0.5)[0].tolist())  # type: ignore
    assert seen == dict.fromkeys(range(10), 3)


def test_new_scenes_start_from_all_the_space_that_those_of_stage_one_fill(stage_one, stage_two, monkeypatch) -> None:
    import yaml

    config = yaml.load(stage_two.config.read_text(), Loader=yaml.Loader)
    (path,) = stage_one.models.iterdir()
    given = stage_one_module.model_tensors(path)
    given["field.scenes.occupied"].zero_()
    given["field.scenes.occupied"][0, :3] = given["field.scenes.occupied"][2, 30:] = True
    monkeypatch.setattr(stage_one_module, "model_tensors", lambda path: given)
    pipeline = config.pipeline.setup(device="cpu")
    pipeline.start_from_stage_one()
    occupied = pipeline.model.field.scenes.occupied
    assert len(occupied) == 2 and occupied[:, :3].all() and occupied[:, 30:].all() and not occupied[:, 3:30].any()


def test_the_latent_scale_is_measured_once_when_rendering_begins(pipeline, optimizers) -> None:
    train(pipeline, optimizers, range(4))
    assert float(pipeline.model.autoencoder.latent_scale) == 1
    pipeline.prepare(4, optimizers)
    with torch.no_grad():
        latents = pipeline.model.autoencoder.encode(pipeline.datamanager.train_images(torch.arange(32)))
    expected = 1 / (3 * latents.std())
    assert float(pipeline.model.autoencoder.latent_scale) == pytest.approx(float(expected), rel=1e-4)
    before = pipeline.model.autoencoder.latent_scale.clone()
    train(pipeline, optimizers, range(4, 8))
    assert torch.equal(pipeline.model.autoencoder.latent_scale, before)


def test_while_the_encoder_trains_the_latent_scale_follows_that_of_its_batches(pipeline, optimizers) -> None:
    from tda_nerfstudio.autoencoder.base import SCALE_PACE

    train(pipeline, optimizers, range(8))
    codec, before = pipeline.model.autoencoder, float(pipeline.model.autoencoder.latent_scale)
    pipeline.prepare(8, optimizers)
    batch = 1 / (3 * float(codec.encode(pipeline.batch_of(8, pipeline.waves[0].spans[2])[1]["image"]).std()))
    assert batch != pytest.approx(before, rel=1e-4)
    train(pipeline, optimizers, range(8, 9))
    assert float(codec.latent_scale) == pytest.approx(before + SCALE_PACE * (batch - before), rel=1e-5)


def test_cached_latents_are_those_of_the_images_and_are_dropped_when_the_encoder_moves(
    pipeline, optimizers, tmp_path: Path
) -> None:
    pipeline.latents.folder = tmp_path
    train(pipeline, optimizers, range(4))
    pipeline.prepare(4, optimizers)
    index = torch.tensor([9, 3, 30])
    encode = pipeline.model.autoencoder
    with torch.no_grad():
        expected = encode.normalise(encode.encode(pipeline.datamanager.train_images(index)))
    assert torch.allclose(pipeline.latents(index), expected, atol=2**-11)  # half a step of float16 below 1, and a bit
    cache = pipeline.latents.cache
    pipeline.prepare(7, optimizers)
    assert pipeline.latents.cache is cache
    pipeline.prepare(8, optimizers)
    assert pipeline.latents.cache is None
    assert not list(tmp_path.iterdir())  # no other run has this autoencoder


def measured(pipeline, optimizers, monkeypatch: pytest.MonkeyPatch, steps: range) -> list[int]:
    """Name the steps before which the background is measured."""
    found: list[int] = []
    monkeypatch.setattr(tda_pipeline, "BACKGROUND_EVERY", 2)
    for step in steps:
        monkeypatch.setattr(pipeline, "measure_background", lambda step=step: found.append(step))
        pipeline.prepare(step, optimizers)
    return found


def test_the_background_is_measured_again_while_the_encoder_trains(pipeline, optimizers, monkeypatch) -> None:
    assert measured(pipeline, optimizers, monkeypatch, range(12)) == [0, 2, 4, 8, 10]


def test_a_run_resumed_where_the_background_is_due_measures_it(pipeline, optimizers, monkeypatch) -> None:
    assert measured(pipeline, optimizers, monkeypatch, range(10, 12)) == [10]


def test_the_forecast_changes_nothing(pipeline, optimizers) -> None:
    before = {name: value.clone() for name, value in pipeline.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    table = forecast(pipeline, pipeline.waves, 0).table
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(value, before[name]) for name, value in pipeline.state_dict().items())
    assert all(param.grad is None for param in pipeline.parameters())
    assert pipeline.latents.cache is None
    assert list(table.columns[0].cells) == ["warm-up", "latent", "joint"]
    assert list(table.columns[1].cells) == ["4", "4", "4"]
    assert list(table.columns[2].cells) == ["8", "8", "8"]  # 4 steps x 4 scenes x 2 views / 4 scenes


def test_a_resumed_runs_forecast_counts_only_what_is_left(pipeline) -> None:
    expected = forecast(pipeline, pipeline.waves, 6)
    assert list(expected.table.columns[1].cells) == ["0", "2", "4"]
    assert list(expected.table.columns[4].cells) == ["-", "1 s", "1 s"]
    assert expected.seconds.keys() == {"warm-up", "latent", "joint"} and expected.seconds["warm-up"] == 0
    assert expected.summary.startswith("4 scenes: less than a minute, ")


def test_a_checkpoint_with_missing_unexpected_and_misshaped_tensors_is_refused_by_name(pipeline) -> None:
    state = {name: value.clone() for name, value in pipeline.state_dict().items()}
    del state["_model.autoencoder.decoder.deep.1.weight"]
    state["_model.extra"] = torch.zeros(1)
    state["_model.field.scenes.weights"] = torch.zeros(9, 3)
    before = pipeline.model.field.scenes.micro.clone()
    with pytest.raises(TdaError) as caught:
        pipeline.load_pipeline(state, 7)
    text = str(caught.value)
    assert text.startswith("The checkpoint of step 7 does not fit this configuration and is refused; ")
    assert "missing: _model.autoencoder.decoder.deep.1.weight; unexpected: _model.extra; " in text
    assert "other shapes: _model.field.scenes.weights is (9, 3), not (4, 3). Use the config.yml" in text
    assert torch.equal(pipeline.model.field.scenes.micro, before)


def test_a_checkpoint_of_several_processes_loads(pipeline) -> None:
    state = {f"module.{name}": value + 1 for name, value in pipeline.state_dict().items()}
    pipeline.load_pipeline(state, 0)
    assert torch.equal(pipeline.state_dict()["_model.field.scenes.base"], state["module._model.field.scenes.base"])


def test_frozen_scenes_refuse_a_checkpoint_with_another_autoencoder(configure, stage_one, stage_two) -> None:
    import yaml

    config = yaml.load(stage_two.config.read_text(), Loader=yaml.Loader)
    pipeline = config.pipeline.setup(device="cpu")
    state = stage_two.state["pipeline"]
    pipeline.load_pipeline(state, 11)
    state["_model.autoencoder.decoder.deep.1.weight"][0, 0, 0, 0] += 1e-3
    wanted = stage_one.manifest["model"]["fingerprint"]
    with pytest.raises(TdaError, match=f"holds an autoencoder with hash .* configured with {wanted}.*do not mix"):
        pipeline.load_pipeline(state, 11)


def test_several_devices_are_refused_with_the_way_to_use_them(configure) -> None:
    with pytest.raises(TdaError, match="One run uses one device.*Start a process per GPU.*0:500 and 500:1000"):
        configure().pipeline.setup(device="cpu", world_size=2)


def test_a_run_without_held_out_views_can_be_finished(configure, tiny_atlas: Path, tmp_path: Path) -> None:
    import shutil

    for name in ("vehicle_0000", "vehicle_0001"):
        shutil.copytree(tiny_atlas / name, tmp_path / "data" / name)
        (tmp_path / "data" / name / "transforms_test.json").unlink()
    config = configure(scenes=(), data=tmp_path / "data").pipeline
    config.datamanager.dataparser.eval_every = 0
    pipeline = config.setup(device="cpu").eval()
    metrics = pipeline.get_average_eval_image_metrics()
    assert metrics == {"left_out": {}, "scenes": {}}
    assert quality(metrics) == "no held-out views, so no PSNR"
