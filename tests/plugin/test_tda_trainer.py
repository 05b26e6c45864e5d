"""Signals, totals and errors of a run, in this process."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_runs import cut_in_step

from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.base.errors import StoreError, TdaError
from tda_nerfstudio.base.interrupts import signals_deferred
from tda_nerfstudio.learning.latents import TrainingLatents
from tda_nerfstudio.learning.schedule import Setting, StageOne
from tda_nerfstudio.plugin import bank, resolve
from tda_nerfstudio.plugin.checkpoint import check_load_dir
from tda_nerfstudio.plugin.claim import _HELD
from tda_nerfstudio.plugin.finished import read_finished
from tda_nerfstudio.plugin.next_steps import show_next_steps
from tda_nerfstudio.plugin.stage_one import read as read_stage_one
from tda_nerfstudio.plugin.tda_trainer import TdaTrainer, clear_errors
from tda_nerfstudio.store.store import Store


@pytest.fixture
def trainer(configure: Callable):
    """A trainer of a tiny stage 1 that is set up and has not begun."""
    config = configure()
    made = config.setup(local_rank=0, world_size=1)
    made.setup()
    return made


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_at_the_end_of_its_step_and_ends_with_its_code(trainer, capsys, number: int) -> None:
    handlers = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(SystemExit) as caught, signals_deferred(trainer.ask_to_stop):
        os.kill(os.getpid(), number)
        assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == handlers  # a second one acts
        assert not trainer.checkpoint_dir.exists()
        trainer.end_step(6)
    assert caught.value.code == 128 + number
    assert [path.name for path in trainer.checkpoint_dir.iterdir()] == ["step-000000006.ckpt"]
    text = " ".join(capsys.readouterr().out.split())
    assert "Stopping after this step: saving a checkpoint." in text
    assert "Saved step 6. Go on with: ns-train tda-ae " in text
    assert f"--load-config {trainer.base_dir / 'config.yml'}" in text
    assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_run_says_its_own_words_alone(configure: Callable, capsys: pytest.CaptureFixture) -> None:
    config = configure()
    capsys.readouterr()
    config.print_to_terminal()
    config.save_config()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    trainer.train()
    out, errors = capsys.readouterr()
    told = " ".join(out.split())
    assert f"All settings: {trainer.base_dir / 'config.yml'}" in told
    for ours in ("Atlas ", "Forecast", "4 scenes: less than a minute", "warm-up 8 % step 1 of 12", "Done: PSNR "):
        assert ours in told, ours
    for theirs in ("Saving", "Mixed precision", "Loading", "No Nerfstudio", "logging events", "Finished", "TdaTrainer"):
        assert theirs not in told, theirs
    assert not config.logging.local_writer.enable and config.logging.profiler == "none"
    assert "Warning" not in errors
    assert len(out.splitlines()) < 25


def test_without_a_signal_a_step_saves_nothing(trainer) -> None:
    with signals_deferred(trainer.ask_to_stop):
        trainer.end_step(6)
    assert not trainer.checkpoint_dir.exists()


def test_an_older_checkpoint_goes_only_when_the_new_one_is_whole(trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    from tda_nerfstudio.plugin import checkpoint

    trainer.save_checkpoint(1)

    def fail(path: Path, content: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="disk full"):
        patch.setattr(checkpoint, "save_tensors", fail)
        trainer.save_checkpoint(2)
    assert [path.name for path in trainer.checkpoint_dir.iterdir()] == ["step-000000001.ckpt"]
    trainer.save_checkpoint(3)
    assert [path.name for path in trainer.checkpoint_dir.iterdir()] == ["step-000000003.ckpt"]
    trainer.config.save_only_latest_checkpoint = False
    trainer.save_checkpoint(4)
    assert len(list(trainer.checkpoint_dir.iterdir())) == 2


def test_a_run_of_the_same_name_goes_on_where_it_was_cut(trainer) -> None:
    assert trainer.config.load_dir is None
    trainer.save_checkpoint(5)
    resolve.resolve(trainer.config)
    assert trainer.config.load_dir == trainer.checkpoint_dir


def test_an_error_in_a_later_step_saves_the_one_before(trainer, capsys) -> None:
    trainer.end_step(6)
    with pytest.raises(SystemExit), clear_errors(), trainer.errors_saved():
        raise TdaError("Broken image.")
    *_, last, command = capsys.readouterr().out.splitlines()
    assert last.startswith("╰") and command == f"  {trainer.config.resume_command()}"
    assert [path.name for path in trainer.checkpoint_dir.iterdir()] == ["step-000000006.ckpt"]


def test_an_error_before_the_first_step_saves_nothing(trainer) -> None:
    with pytest.raises(TdaError, match="^Broken image.$"), trainer.errors_saved():
        raise TdaError("Broken image.")
    assert not trainer.checkpoint_dir.exists()


def test_a_run_that_is_cut_short_is_not_marked_as_finished(trainer) -> None:
    trainer.finish(10)
    assert not (trainer.base_dir / "finished.json").exists()
    trainer.finish(11)
    assert (trainer.base_dir / "finished.json").exists()


def shown(capsys: pytest.CaptureFixture) -> str:
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_a_run_whose_scenes_all_diverged_has_failed(trainer, capsys) -> None:
    trainer.pipeline.model.field.scenes.weights.data.fill_(torch.nan)
    with pytest.raises(SystemExit) as caught, clear_errors(), trainer.errors_saved():
        trainer.finish(11)
    assert caught.value.code == 1 and not (trainer.base_dir / "finished.json").exists()
    text = shown(capsys)
    assert "All 4 scenes went wrong, so that nothing was learnt and the run is not marked as finished." in text
    assert "'vehicle_0000': It diverged: its numbers are not finite." in text and "Done" not in text


def test_scenes_of_stage_1_that_diverged_are_named_loudly_and_start_no_others(trainer, capsys) -> None:
    table = trainer.pipeline.model.field.scenes
    table.weights.data[2] = torch.nan
    trainer.save_checkpoint(11)
    trainer.finish(11)
    text = shown(capsys)
    assert "Mind" in text and "1 of 4 scenes went wrong and count in no score: vehicle_0002." in text
    assert read_finished(trainer.base_dir)["start_loss"] > 0
    parts, _ = read_stage_one(trainer.base_dir, None)
    assert torch.equal(parts.weights, table.weights[[0, 1, 3]].mean(0))
    state = torch.load(trainer.checkpoint_of(11), weights_only=True)
    state["pipeline"]["_model.field.scenes.weights"].fill_(torch.nan)
    torch.save(state, trainer.checkpoint_of(11))
    with pytest.raises(TdaError, match="has no scene to start from: all of them diverged. Train it again."):
        read_stage_one(trainer.base_dir, None)


def test_a_run_ends_with_lines_that_can_be_copied(trainer, capsys) -> None:
    trainer.save_checkpoint(11)
    trainer.finish(11)
    config, data = trainer.base_dir / "config.yml", trainer.pipeline.datamanager.get_datapath()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-4:] == [
        "Next:",
        f"  ns-viewer --load-config {config} --viewer.websocket-host 127.0.0.1",
        f"  ns-eval --load-config {config}",
        f"  ns-train tda-scenes --data {data} --output-dir {trainer.config.output_dir}",
    ]


def test_the_lines_after_a_run_fit_its_method_and_are_quoted(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    show_next_steps("tda-ae", tmp_path / "outputs/my cars/tda-ae/r", Path("/my cars"), None, 1)
    assert capsys.readouterr().out.splitlines()[-1] == "  ns-train tda-scenes --data '/my cars'"
    show_next_steps("tda-ae", tmp_path / "kept", Path("/cars"), None, 1)
    assert f"--data /cars --pipeline.autoencoder {tmp_path / 'kept'}" in capsys.readouterr().out
    show_next_steps("tda-scenes", Path("/r"), Path("/cars"), Path("/r/store"), 1)
    assert capsys.readouterr().out.splitlines() == [
        "The store of its scenes: /r/store",
        "Next:",
        "  tda view /r/store",
        "  tda render /r/store --scene all",
        "  ns-viewer --load-config /r/config.yml --viewer.websocket-host 127.0.0.1",
        "  ns-eval --load-config /r/config.yml",
    ]
    show_next_steps("tda-scenes", Path("/r"), Path("/cars"), Path("/r/store"), 3)
    assert "ns-" not in capsys.readouterr().out
    show_next_steps("tda-rgb", Path("/r"), Path("/cars"), None, 1)
    assert "ns-train" not in capsys.readouterr().out


def test_a_finished_run_tells_its_command_machine_size_and_time(trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer.history.commands = ["ns-train tda-ae"]
    for step in range(12):
        trainer.begin_step(step)
        trainer.end_step(step)
    trainer.save_checkpoint(11)
    trainer.finish(11)
    manifest = read_finished(trainer.base_dir)
    assert manifest["commands"] == ["ns-train tda-ae"] and manifest["image_size"] == [32, 32]
    assert manifest["seed"] == trainer.config.machine.seed and manifest["machine"]["device"] == "cpu"
    phases = manifest["phases"]
    assert [(p["name"], p["start"], p["end"], p["visits"], p["timed_steps"]) for p in phases] == [
        ("warm-up", 0, 4, 8, 4),
        ("latent", 4, 8, 8, 4),
        ("joint", 8, 12, 8, 4),
    ]
    trainer.config.load_dir, trainer._start_step = trainer.checkpoint_dir, 12
    assert trainer.past().seconds == {phase["name"]: phase["seconds"] for phase in phases}
    trainer.config.load_dir, trainer.config.load_checkpoint = None, trainer.checkpoint_of(11)
    assert trainer.past().commands == ["ns-train tda-ae"]


def test_resuming_a_run_that_has_all_its_steps_leaves_a_whole_run(trainer, configure: Callable) -> None:
    trainer.save_checkpoint(11)
    config = configure()
    config.load_dir = trainer.checkpoint_dir
    resumed = config.setup(local_rank=0, world_size=1)
    resumed.setup()
    resumed.train()
    manifest = read_finished(resumed.base_dir)
    assert manifest["steps"] == 12
    assert (resumed.base_dir / manifest["checkpoint"]).is_file()


@pytest.mark.parametrize("error", [StoreError("a name that cannot be"), OSError(28, "No space left on device")])
def test_a_store_that_cannot_be_written_stops_nothing(trainer, monkeypatch, capsys, error: Exception) -> None:
    def fail(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(bank, "open_store", fail)
    trainer.bank.folder = trainer.base_dir / "store"
    trainer.bank.put(None, {})
    trainer.bank.put({"scenes": {}, "left_out": {}}, {})
    shown = "".join(capsys.readouterr().out.split())  # the folder's name may be cut at the end of a line
    assert shown.count("".join(f"{trainer.base_dir.name}/store: {error}".split())) == 2


def test_a_store_that_was_asked_for_and_cannot_be_written_ends_the_run(trainer, monkeypatch) -> None:
    monkeypatch.setattr(bank, "open_store", lambda *args: (_ for _ in ()).throw(StoreError("no room")))
    trainer.bank.folder = trainer.pipeline.config.store = trainer.base_dir / "asked"
    trainer.bank.put(None, {})  # unfinished scenes are in the checkpoint
    with pytest.raises(TdaError, match="The scenes are not in the store .*asked: no room"):
        trainer.bank.put({"scenes": {}, "left_out": {}}, {})


def test_errors_end_a_run_with_their_message_and_code_1(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught, clear_errors():
        raise TdaError("Something is wrong. Do this.")
    assert caught.value.code == 1
    assert "Something is wrong. Do this." in capsys.readouterr().out


def test_errors_keep_brackets_of_names_and_patterns(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit), clear_errors():
        raise TdaError("Pattern 'car_[ab]*' matches no scene in /data/[old]/cars[/x].")
    assert "Pattern 'car_[ab]*' matches no scene in /data/[old]/cars[/x]." in capsys.readouterr().out


@pytest.mark.parametrize(("make", "error"), [(False, "does not exist. Give the nerf"), (True, "holds no checkpoint")])
def test_a_folder_without_checkpoints_is_refused(tmp_path: Path, make: bool, error: str) -> None:
    folder = tmp_path / "nerfstudio_models"
    if make:
        folder.mkdir()
        (folder / "notes.txt").touch()
    with pytest.raises(TdaError, match=f"--load-dir {folder} {error}"):
        check_load_dir(folder)


def test_a_total_below_one_step_is_refused(configure: Callable) -> None:
    with pytest.raises(TdaError, match="--max-num-iterations must be at least 1, not 0."):
        configure(steps=0)


@pytest.mark.parametrize(
    ("kind", "space", "error"),
    [
        ("kl", "colours", "needs an autoencoder that starts with the image's colours, and 'kl' does not"),
        ("colours", "3d-aware", "needs an encoder that learns, and that of 'colours' does not"),
        ("identity", "3d-aware", "needs an encoder that learns, and that of 'identity' does not"),
        ("colours", "standard", "kind fine, which starts alike, or light"),
    ],
)
def test_a_space_that_the_autoencoder_cannot_have_is_refused(kind: str, space: str, error: str) -> None:
    with pytest.raises(TdaError, match=error):
        StageOne(space=space).fitted(Setting(AutoencoderConfig(kind)))


def test_phases_that_a_total_leaves_no_step_are_named(configure: Callable, capsys: pytest.CaptureFixture) -> None:
    configure(steps=2)  # three equal phases, in two steps: borders at 0.67, 1.33 and 2
    text = " ".join(capsys.readouterr().out.split())
    assert "2 steps leave none to the phase 'latent': it is left out." in text
    assert "'warm-up'" not in text and "'joint'" not in text


def test_steps_follow_from_visits_where_no_total_is_given(configure: Callable) -> None:
    assert configure(steps=None).max_num_iterations == 12  # 3 phases x 8 visits x 4 scenes / (4 scenes x 2 views)


def test_split_files_and_data_become_absolute(configure: Callable, tiny_atlas: Path) -> None:
    config = configure(scenes=("splits.json", "!vehicle_0002"))
    parser = config.pipeline.datamanager.dataparser
    assert parser.scenes == (str(tiny_atlas / "splits.json"), "!vehicle_0002")
    assert parser.split_key == "tda-ae"
    assert config.data == config.pipeline.datamanager.data == parser.data == tiny_atlas
    assert parser.data.is_absolute()
    assert parser.box is not None


def test_split_files_are_found_beside_the_atlas_too(configure, tiny_atlas: Path) -> None:
    path = tiny_atlas.parent / "beside.json"
    path.write_text('["vehicle_0001"]')
    assert configure(scenes=("beside.json",)).pipeline.datamanager.dataparser.scenes == (str(path),)


def test_the_output_folder_becomes_absolute(configure: Callable, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = configure(output=Path("out"))
    monkeypatch.chdir("/")
    assert config.get_checkpoint_dir().absolute().is_relative_to(tmp_path / "out")


@pytest.mark.parametrize(
    ("start", "visits", "said"),
    [("scratch", 600, "scratch"), ("embedded", 60, "the package's pre-trained weights")],
)
def test_the_warm_up_is_as_long_as_the_autoencoders_start_needs(configure, capsys, start, visits, said) -> None:
    config = configure()
    config.pipeline.model.autoencoder = AutoencoderConfig(start=start)
    capsys.readouterr()
    resolve._choose_start(config.pipeline)
    text = " ".join(capsys.readouterr().out.split())
    assert text == f"The autoencoder (f = 8, C = 48) starts from {said}."
    setting = Setting(config.pipeline.model.autoencoder)
    assert StageOne().fitted(setting).warmup_visits == visits
    assert StageOne(warmup_visits=7).fitted(setting).warmup_visits == 7


def test_colours_of_the_light_autoencoder_start_without_a_network_in_the_encoder(configure) -> None:
    config = configure()
    config.pipeline.model.autoencoder, config.pipeline.schedule = AutoencoderConfig(), StageOne(space="colours")
    resolve._choose_start(config.pipeline)
    assert config.pipeline.model.autoencoder.start == "colours"


@pytest.fixture
def encode_scene(configure: Callable, stage_one, outputs: Path) -> Callable[..., TdaTrainer]:
    """Give tests `encode_scene(output, name)`: a trainer of six steps of Encode-Scene that is not set up."""

    def make(output: Path, name: str) -> TdaTrainer:
        config = configure("tda-scenes", ("4:6",), steps=6, output=outputs)
        config.output_dir, config.timestamp, config.pipeline.schedule.strategy = output, name, "encode"
        if config.get_checkpoint_dir().exists():
            config.load_dir = config.get_checkpoint_dir()
        return config.setup(local_rank=0, world_size=1)

    return make


def learn(trainer: TdaTrainer) -> dict[str, torch.Tensor]:
    """Train from the setup to the end; give what was learnt."""
    trainer.setup()
    trainer.train()
    return trainer.pipeline.state_dict()


def test_encode_scene_encodes_no_training_image_once_they_are_cached(
    encode_scene: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (encode_scene(tmp_path, name) for name in ("one", "two", "three"))

    def closed(*_: object, **__: object) -> None:
        raise AssertionError("images are encoded")

    with monkeypatch.context() as patch, pytest.raises(AssertionError, match="images are encoded"):
        patch.setattr(TrainingLatents, "encode", closed)
        learn(first)
    learn(second)
    assert set(second.pipeline.datamanager.views.train.files._images) == {None}  # they were read, but not kept
    with monkeypatch.context() as patch:
        patch.setattr(TrainingLatents, "encode", closed)
        learn(third)
    metrics = [read_finished(trainer.base_dir)["metrics"]["scenes"] for trainer in (second, third)]
    assert metrics[0] == metrics[1]
    codec = second.pipeline.model.autoencoder.fingerprint()
    store = Store(third.base_dir / "store")
    assert list(store) == ["vehicle_0004", "vehicle_0005"] and not store.verify() and len(store.files) == 1
    assert store.record("vehicle_0005").metrics["psnr"] == pytest.approx(metrics[1]["vehicle_0005"]["psnr"], abs=1e-4)
    assert store.manifest.hash == Store(second.base_dir / "store").manifest.hash
    files = {path.relative_to(tmp_path / "latents").as_posix() for path in tmp_path.glob("latents/tiny-*/*/*")}
    assert {name.split("/", 1)[1] for name in files} == {f"{codec}/vehicle_000{i}.safetensors" for i in (4, 5)}


def test_scenes_are_the_same_bits_with_a_cache_without_one_and_in_two_pieces(
    encode_scene: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    states = {name: learn(encode_scene(tmp_path / "disk", name)) for name in ("cold", "warm")}
    assert "Latents cannot be kept" not in capsys.readouterr().out
    (tmp_path / "none").mkdir()
    (tmp_path / "none/latents").touch()
    states["memory"] = learn(encode_scene(tmp_path / "none", "memory"))
    text = " ".join(capsys.readouterr().out.split())
    assert text.count("Latents cannot be kept in") == 1
    assert "(Not a directory): this run holds them in memory, and the next one encodes again." in text

    with cut_in_step(2):
        learn(encode_scene(tmp_path / "disk", "cut"))
    shutil.rmtree(tmp_path / "disk/latents")
    states["cut"] = learn(encode_scene(tmp_path / "disk", "cut"))
    for name, state in states.items():
        assert all(torch.equal(value, state[key]) for key, value in states["cold"].items()), name


def test_a_run_with_nothing_left_to_train_is_finished_and_lets_go_of_its_folder(configure: Callable) -> None:
    config = configure()
    config.save_config()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    trainer._start_step = trainer.total_steps
    assert trainer.base_dir in _HELD
    trainer.train()
    assert trainer.base_dir not in _HELD and read_finished(trainer.base_dir)["steps"] == trainer.total_steps
    assert trainer.config.max_num_iterations == trainer.total_steps


def test_mixed_precision_changes_nothing_on_a_cpu(configure: Callable, capsys: pytest.CaptureFixture) -> None:
    config = configure()
    config.mixed_precision = True
    trainer = config.setup(local_rank=0, world_size=1)
    assert not trainer.use_grad_scaler  # it would be enabled on a machine that has a GPU too
    assert "--mixed-precision does nothing on a CPU: this run goes on without." in shown(capsys)


@pytest.mark.parametrize("shared", ["frozen", "finetune"])
def test_a_run_that_was_cut_goes_on_without_its_stage_one_and_its_store(
    configure: Callable, stage_one, outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: str
) -> None:
    first = shutil.copytree(outputs / "tiny/tda-ae/one", tmp_path / "tiny/tda-ae/one")

    def make() -> TdaTrainer:
        config = configure("tda-scenes", ("4:6",), steps=6, output=outputs)
        config.output_dir, config.timestamp, config.pipeline.autoencoder = tmp_path, "run", first
        config.pipeline.schedule.shared = shared
        if config.get_checkpoint_dir().exists():
            config.load_dir = config.get_checkpoint_dir()
        return config.setup(local_rank=0, world_size=1)

    trainer = make()
    with cut_in_step(3):
        learn(trainer)
    shutil.rmtree(first)
    shutil.rmtree(trainer.base_dir / "store", ignore_errors=True)
    again = make()
    learn(again)
    assert again._start_step == 4 and "psnr" in read_finished(again.base_dir)["metrics"]


def test_a_run_without_held_out_views_trains_to_its_end_where_evaluations_are_due(
    configure: Callable, tiny_atlas: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(tiny_atlas, tmp_path / "data", ignore=shutil.ignore_patterns("transforms_test.json"))
    config = configure(data=Path(data), hold_out=0)
    config.steps_per_eval_image = config.steps_per_eval_batch = config.steps_per_eval_all_images = 2
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    trainer.train()
    assert read_finished(trainer.base_dir)["metrics"] == {"left_out": {}, "scenes": {}}
