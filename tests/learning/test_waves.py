"""Stage 2 in waves, from a store and into it; scenes that go wrong."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_runs import cut_in_step

from tda_nerfstudio.base.errors import StoreError
from tda_nerfstudio.core.objective import Batch
from tda_nerfstudio.learning.batches import Batches, StepSize
from tda_nerfstudio.learning.learner import Learner
from tda_nerfstudio.learning.retry import diverged, learn_again
from tda_nerfstudio.learning.schedule import RgbBaseline, StageTwo
from tda_nerfstudio.learning.scoring import merge
from tda_nerfstudio.learning.waves import plan, wave_at
from tda_nerfstudio.plugin.bank import Bank
from tda_nerfstudio.plugin.finished import read_finished
from tda_nerfstudio.plugin.tda_trainer import TdaTrainer
from tda_nerfstudio.store.store import Store


@pytest.fixture
def runner(configure: Callable, stage_one, outputs: Path, tiny_atlas: Path) -> Callable[..., TdaTrainer]:
    """Give tests `runner(output, name, per_wave, at_once=1, scenes=("2:6",), store=None)`: six visits a phase."""

    def make(
        output: Path,
        name: str = "run",
        per_wave: int | None = None,
        at_once: int = 1,
        scenes: tuple[str, ...] = ("2:6",),
        store: Path | None = None,
        data: Path = tiny_atlas,
        autoencoder: Path | None = None,
    ) -> TdaTrainer:
        config = configure("tda-scenes", ("4:6",), steps=6, output=outputs)
        config.output_dir, config.timestamp, config.max_num_iterations = output, name, None
        config.data = config.pipeline.datamanager.data = config.pipeline.datamanager.dataparser.data = data
        config.pipeline.datamanager.dataparser.scenes = scenes
        config.pipeline.datamanager.scenes_per_step, config.pipeline.datamanager.views_per_scene = at_once, 1
        config.pipeline.datamanager.rays_per_view = 32  # of 256 parts, in eight views: one view in all
        config.pipeline.schedule = StageTwo(encode_visits=6, decode_visits=6)
        config.pipeline.scenes_per_wave, config.pipeline.store = per_wave, store
        if store is not None and (store / "manifest.json").exists():
            config.pipeline.autoencoder, config.pipeline.autoencoder_hash = autoencoder, None
        config.save_config()
        return config.setup(local_rank=0, world_size=1)

    return make


def learn(trainer: TdaTrainer) -> Store:
    """Train to the end; open the store that the scenes are in."""
    trainer.setup()
    trainer.train()
    return Store(trainer.bank.folder)


def assert_alike(one: Store, other: Store, names: list[str]) -> None:
    for name in names:
        first, second = one[name].learnt, other[name].learnt
        assert first.record.metrics == second.record.metrics and first.record.finished, name
        for part in ("micro", "weights", "occupied"):
            assert torch.equal(getattr(first, part), getattr(second, part)), (name, part)


def files(store: Path) -> dict[str, str]:
    paths = sorted((store / "scenes").iterdir())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


PARTS = 256
"""Parts of a view, of which a step sees 32 in each of eight views of a scene: those of one whole view."""
NAMES = [f"vehicle_000{i}" for i in range(2, 6)]


@pytest.fixture
def whole(runner: Callable, tmp_path: Path) -> Store:
    """Four scenes learnt in one wave, one a step."""
    return learn(runner(tmp_path / "whole"))


def test_waves_follow_each_other_without_a_gap():
    waves = plan(StageTwo(encode_visits=8, decode_visits=4), StepSize(4), PARTS, 10, 4)
    assert [(w.scenes, w.start, w.end) for w in waves] == [
        (range(4), 0, 12),
        (range(4, 8), 12, 24),
        (range(8, 10), 24, 36),
    ]
    assert [(s.phase.name, s.start, s.end) for s in waves[1].spans] == [
        ("encode-scene", 12, 20),
        ("decode-scene", 20, 24),
    ]
    assert [wave_at(waves, step).scenes[0] for step in (0, 11, 12, 35, 99)] == [0, 0, 4, 8, 8]
    (one,) = plan(StageTwo(), StepSize(4), PARTS, 10)
    assert one == plan(StageTwo(), StepSize(4), PARTS, 10, 99)[0]


@pytest.mark.parametrize("total", [2, 3, 7, 30, 31, 100])
def test_a_total_is_kept_to_the_step(total: int):
    waves = plan(StageTwo(encode_visits=8, decode_visits=4), StepSize(4), PARTS, 10, 4, total=total)
    assert waves[-1].end == total and waves[0].start == 0
    assert all(one.end == other.start for one, other in zip(waves[:-1], waves[1:], strict=True))


@pytest.mark.parametrize("per_wave", [1, 3])
def test_a_scene_is_the_same_whatever_the_wave(runner, whole: Store, tmp_path: Path, per_wave: int) -> None:
    trainer = runner(tmp_path / "waves", per_wave=per_wave)
    store = learn(trainer)
    assert sorted(store) == NAMES and not store.verify()
    assert_alike(store, whole, NAMES)
    assert len(trainer.pipeline.model.field.scenes) == per_wave
    manifest = read_finished(trainer.base_dir)
    assert manifest["scene_names"] == NAMES and sorted(manifest["metrics"]["scenes"]) == NAMES
    scored = trainer.pipeline.get_average_eval_image_metrics()  # as ns-eval asks: what is in memory, and what is not
    assert sorted(scored["scenes"].keys() | scored["left_out"].keys()) == NAMES and NAMES[3] in scored["scenes"]
    before = read_finished(tmp_path / "whole/tiny/tda-scenes/run")
    assert manifest["metrics"]["psnr"] == pytest.approx(before["metrics"]["psnr"], abs=1e-9)
    for phase, other in zip(manifest["phases"], before["phases"], strict=True):
        same = ("name", "start", "end", "visits", "timed_steps")
        assert [phase[key] for key in same] == [other[key] for key in same]


def test_another_seed_learns_other_scenes(runner, whole: Store, tmp_path: Path) -> None:
    trainer = runner(tmp_path / "other", scenes=("2:3",))
    trainer.config.pipeline.datamanager.seed += 1
    assert not torch.equal(learn(trainer)[NAMES[0]].learnt.micro, whole[NAMES[0]].learnt.micro)


@pytest.mark.parametrize("step", [5, 11, 12, 17])
def test_a_cut_run_goes_on_with_the_next_wave(runner, whole: Store, tmp_path: Path, step: int) -> None:
    with cut_in_step(step):
        learn(runner(tmp_path / "cut", per_wave=1))
    folder = tmp_path / "cut/tiny/tda-scenes/run/store"
    before = files(folder) if folder.exists() else {}
    finished = [name for name in Store(folder) if Store(folder).record(name).finished] if before else []
    assert finished == NAMES[: (step + 1) // 12]
    store = learn(runner(tmp_path / "cut", per_wave=1))
    assert_alike(store, whole, NAMES)
    kept = {Store(folder).file(name).path.name for name in finished}
    assert kept <= before.keys() and {name: files(folder)[name] for name in kept}.items() <= before.items()


def test_a_wave_that_was_saved_but_not_stored_is_stored_when_the_run_goes_on(
    runner, whole: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    from tda_nerfstudio.plugin import bank

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(bank, "store_scenes", full)
        learn(runner(tmp_path / "cut", per_wave=1))
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "No space left on device" in shown and "Step 11 is saved; go on from it with:" in shown
    assert_alike(learn(runner(tmp_path / "cut", per_wave=1)), whole, NAMES)


def poison(batch: Batch) -> Batch:
    """Let what renderings are compared with be no numbers."""
    if batch.parts is not None:
        return batch._replace(parts=batch.parts._replace(latents=torch.full_like(batch.parts.latents, torch.nan)))
    return batch._replace(images=torch.full((1, 1, 1, 1), torch.nan))


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_scene_with_a_damaged_image_is_put_aside_and_no_other_minds(
    runner, whole: Store, tiny_atlas: Path, tmp_path: Path, split: str
) -> None:
    data = tmp_path / "tiny"
    shutil.copytree(tiny_atlas, data)
    for path in sorted((data / NAMES[1] / split).iterdir()):
        damage(path)
    trainer = runner(tmp_path / "bad", per_wave=2, data=data)
    store = learn(trainer)
    good = [name for name in NAMES if name != NAMES[1]]
    assert sorted(store) == good
    assert_alike(store, whole, good)
    ((name, reason),) = store.aside().items()
    assert name == NAMES[1] and f"{NAMES[1]}/{split}/r_000.png cannot be decoded" in reason
    assert read_finished(trainer.base_dir)["metrics"]["left_out"] == {name: reason}
    assert not list((tmp_path / "bad/latents").rglob(f"{name}.safetensors")) or split == "test"
    shutil.rmtree(data)
    shutil.copytree(tiny_atlas, data)  # mended
    again = learn(runner(tmp_path / "bad", "again", store=store.folder, data=data))
    assert sorted(again) == NAMES and not again.aside()


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("per_wave", [None, 2])
def test_a_scene_that_diverges_is_learnt_once_more_and_then_put_aside(
    runner, whole: Store, tmp_path: Path, monkeypatch, twice: bool, per_wave: int | None
) -> None:
    batch_of, seeds = Batches.batch, []

    def poisoned(self: Batches, *given, **options):
        batch = batch_of(self, *given, **options)
        (scene,) = batch.scene.tolist()
        if self.views.names[scene] == NAMES[2] and given[0] % 12 > 3 and (twice or not self.attempt):
            batch = poison(batch)
        seeds.append(batch.seeds)
        return batch

    monkeypatch.setattr(Batches, "batch", poisoned)
    trainer = runner(tmp_path / "bad", per_wave=per_wave)
    trainer.config.steps_per_save = 1  # so that the store knows of it before it diverges
    store = learn(trainer)
    assert any(own.endswith(f"{NAMES[2]}/1/0") for (own,) in seeds)  # attempt 1, its first visit
    assert sorted(store) == [name for name in NAMES if name != NAMES[2] or not twice]
    assert_alike(store, whole, [name for name in NAMES if name != NAMES[2]])
    assert list(store.aside()) == [NAMES[2]] * twice
    if not twice:
        assert store.record(NAMES[2]).finished
        assert not torch.equal(store[NAMES[2]].learnt.micro, whole[NAMES[2]].learnt.micro)


@pytest.mark.parametrize(("total", "again"), [(None, [6, 6]), (16, [2, 2])])
def test_a_retry_is_as_long_as_the_wave_was(
    runner, tmp_path: Path, monkeypatch, total: int | None, again: list[int]
) -> None:
    trainer = runner(tmp_path / "run")  # four scenes, one a step, 6 + 6 visits: 48 steps
    trainer.config.max_num_iterations = trainer.config.pipeline.steps = total or 48
    trainer.setup()
    trainer.pipeline.learner_at(0).prepare(0)
    prepare, steps = Learner.prepare, []

    def note(self: Learner, step: int):
        span = prepare(self, step)
        steps.append(span.phase.name)
        return span

    monkeypatch.setattr(Learner, "prepare", note)
    assert learn_again(trainer.pipeline.learner, [NAMES[1]], lambda: False)
    assert [steps.count(name) for name in ("encode-scene", "decode-scene")] == again


def test_a_stop_while_scenes_are_learnt_once_more_loses_nothing(runner, whole, tmp_path, monkeypatch) -> None:
    batch_of = Batches.batch

    def poisoned(self: Batches, *given, **options):
        batch = batch_of(self, *given, **options)
        if self.attempt == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        elif self.views.names[int(batch.scene)] == NAMES[2]:
            return poison(batch)
        return batch

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as caught:
        patch.setattr(Batches, "batch", poisoned)
        learn(runner(tmp_path / "bad", per_wave=2))
    assert caught.value.code == 143
    store = learn(runner(tmp_path / "bad", per_wave=2))
    assert sorted(store) == NAMES
    assert_alike(store, whole, NAMES[:2] + NAMES[3:])


def test_a_store_grows_without_its_stage_one_and_without_touching_what_it_held(
    runner, whole: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "shelf"
    first = runner(tmp_path / "one", scenes=("2:4",), store=folder)
    assert sorted(learn(first)) == NAMES[:2]
    before = files(folder)
    second = runner(tmp_path / "two", per_wave=1, store=folder)
    assert second.config.pipeline.autoencoder is None
    store = learn(second)
    assert sorted(store) == NAMES and not store.verify()
    assert before.items() <= files(folder).items()
    assert second.pipeline.datamanager.dataparser.whole().names == tuple(NAMES[2:])
    # The store's shared parts are rounded to float16, those of the run that made it are not.
    for name in NAMES[2:]:
        assert store.record(name).metrics["psnr"] == pytest.approx(whole.record(name).metrics["psnr"], abs=0.05)
    with pytest.raises(SystemExit):
        runner(tmp_path / "three", store=folder)


def test_a_run_may_name_both_its_stage_one_and_a_store_that_was_made_from_it(runner, stage_one, tmp_path) -> None:
    folder = tmp_path / "shelf"
    learn(runner(tmp_path / "one", scenes=("2:3",), store=folder))
    trainer = runner(tmp_path / "two", scenes=("2:4",), store=folder, autoencoder=stage_one.folder)
    assert sorted(learn(trainer)) == NAMES[:2]
    assert trainer.config.pipeline.autoencoder == stage_one.folder


def test_a_run_into_a_store_that_was_cut_has_the_scenes_it_began_with(runner, tmp_path, capsys) -> None:
    folder = tmp_path / "shelf"

    learn(runner(tmp_path / "one", scenes=("2:3",), store=folder))
    with cut_in_step(14):
        learn(runner(tmp_path / "two", per_wave=1, store=folder))
    assert [name for name in Store(folder) if Store(folder).record(name).finished] == NAMES[:2]
    learn(runner(tmp_path / "three", scenes=("4:5",), store=folder))  # another run beside it
    before = files(folder)
    again = runner(tmp_path / "two", per_wave=1, store=folder)
    assert sorted(learn(again)) == NAMES
    assert read_finished(again.base_dir)["scene_names"] == NAMES[1:]
    kept = [path for path in before if path in files(folder)]
    assert len(kept) >= 2


def test_a_run_that_made_its_store_goes_on_from_its_own_stage_one(runner, tmp_path) -> None:
    folder = tmp_path / "shelf"

    with cut_in_step(14):
        learn(runner(tmp_path / "two", per_wave=1, store=folder))
    again = runner(tmp_path / "two", per_wave=1, store=folder)
    assert again.config.pipeline.autoencoder is not None
    assert sorted(learn(again)) == NAMES


def test_a_store_of_other_shared_parts_is_refused_with_both_hashes(runner, whole: Store, tmp_path) -> None:
    folder = tmp_path / "other"
    shutil.copytree(whole.folder, folder)
    text = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(text | {"shared": "0" * 32}))
    trainer = runner(tmp_path / "bad")
    trainer.setup()
    trainer.pipeline.config.store = folder
    with pytest.raises(StoreError, match="cannot live in one store") as caught:
        Bank(trainer.pipeline, trainer.base_dir)
    assert "0" * 32 in str(caught.value) and whole.manifest.hash in str(caught.value)


@pytest.mark.parametrize("option", ["scenes_per_wave", "store"])
def test_scenes_that_are_not_independent_have_neither_waves_nor_a_store(runner, tmp_path, capsys, option) -> None:
    config = runner(tmp_path / "bad").config
    config.pipeline.schedule.shared = "finetune"
    setattr(config.pipeline, option, 2 if option == "scenes_per_wave" else tmp_path)
    with pytest.raises(SystemExit):
        config.save_config()
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert f"--pipeline.{option.replace('_', '-')} is for tda-scenes with frozen shared parts" in shown


def test_only_frozen_shared_parts_make_scenes_independent():
    assert StageTwo().independent
    assert not StageTwo(shared="finetune").independent and not RgbBaseline().independent


def scored(*lacks: float, left_out: dict[str, str] | None = None) -> dict:
    scenes = {f"s{i}": {"psnr": 30 - lack, "ceiling_psnr": 30.0, "views": {}} for i, lack in enumerate(lacks)}
    return {"left_out": left_out or {}, "scenes": scenes}


def test_a_scene_far_below_its_neighbours_has_diverged():
    names = [f"s{i}" for i in range(6)]
    assert not diverged(scored(4, 5, 6, 5, 10.9), names)
    (reason,) = diverged(scored(4, 5, 6, 5, 13), names).values()
    assert reason == "It is 13.0 dB below what its autoencoder can show; its neighbours are 5.0 dB below."
    assert not diverged(scored(1, 4, 8, 12, 16), names)  # where all differ, nobody is far
    assert not diverged(scored(4, 5, 20), names)  # too few to say what is usual
    assert diverged(scored(4, left_out={"s9": "x", "s1": "broken"}), names) == {"s1": "broken"}


def test_results_of_waves_are_weighed_by_their_views():
    one = {
        "psnr": 20.0,
        "latent_std": [1.0],
        "seconds": 2.0,
        "left_out": {"a": "x"},
        "scenes": {"b": {"views": {"1": 0}}},
    }
    two = {
        "psnr": 26.0,
        "latent_std": [4.0],
        "seconds": 3.0,
        "left_out": {},
        "scenes": {"c": {"views": {"1": 0, "2": 0}}},
    }
    none = {"left_out": {"d": "y"}, "scenes": {}}
    merged = merge([one, none, two])
    assert merged["psnr"] == pytest.approx(24) and merged["latent_std"] == [3.0] and merged["seconds"] == 5
    assert merged["left_out"] == {"a": "x", "d": "y"} and list(merged["scenes"]) == ["b", "c"]
    assert merge([none]) is none and "psnr" not in merge([none, none])


def test_a_wrong_number_of_scenes_a_wave_is_refused(runner, tmp_path, capsys) -> None:
    config = runner(tmp_path / "bad").config
    config.pipeline.scenes_per_wave = 0
    with pytest.raises(SystemExit):
        config.save_config()
    assert "--pipeline.scenes-per-wave must be at least 1, not 0." in " ".join(capsys.readouterr().out.split())


def test_scenes_at_random_are_the_same_whatever_the_wave(runner, tmp_path: Path) -> None:
    def cold(per_wave: int | None) -> Store:
        trainer = runner(tmp_path / str(per_wave), per_wave=per_wave)
        trainer.config.pipeline.schedule.start = "cold"
        return learn(trainer)

    assert_alike(cold(1), cold(None), NAMES)
