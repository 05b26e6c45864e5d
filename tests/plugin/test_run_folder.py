"""A run that was moved or copied is opened, and gone on with, where it is."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from tda_nerfstudio.atlas.selection import split_of
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.plugin.config_file import opening
from tda_nerfstudio.plugin.finished import read_finished
from tda_nerfstudio.plugin.open_run import open_run
from tda_nerfstudio.plugin.tda_trainer import TdaTrainerConfig


def load(run: Path) -> TdaTrainerConfig:
    """Read a run's configuration as `open_run` does."""
    with opening(run / "config.yml"):
        return yaml.load((run / "config.yml").read_text(), Loader=yaml.Loader)


def cut(run: Path) -> None:
    """Turn the copy of a finished run into one that was cut at its end."""
    (run / "finished.json").unlink()


def snapshot(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["renamed", "deeper/than/it/ever/was", "out/tiny/tda-ae/one"])
def test_a_copy_is_opened_in_its_own_folder(stage_one, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copytree(stage_one.folder, tmp_path / name))
    (checkpoint,) = (copy / "nerfstudio_models").iterdir()
    state = torch.load(checkpoint, weights_only=True)
    state["pipeline"]["_model.field.scenes.weights"].fill_(0.25)
    torch.save(state, checkpoint)
    for path in (copy, copy / "config.yml"):
        assert (open_run(path).model.field.scenes.weights == 0.25).all()
    assert (open_run(stage_one.folder).model.field.scenes.weights != 0.25).all()
    config = load(copy)
    assert config.get_base_dir() == config.folder == copy
    assert config.output_dir == (tmp_path / "out" if name.startswith("out/") else copy)


@pytest.mark.parametrize("words", [["--load-config", "{}"], ["--load-config={}"], ["--load_config", "{}"]])
@pytest.mark.slow
def test_the_command_line_of_nerfstudio_tells_where_a_run_is(stage_one, tmp_path, monkeypatch, words) -> None:
    copy = Path(shutil.copytree(stage_one.folder, tmp_path / "copy"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ns-eval", *(word.format("copy/config.yml") for word in words)])
    config = yaml.load((copy / "config.yml").read_text(), Loader=yaml.Loader)
    assert config.get_checkpoint_dir() == copy / "nerfstudio_models"


@pytest.mark.slow
def test_a_moved_run_goes_on_in_its_own_folder_and_touches_no_other(stage_one, outputs, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(stage_one.folder, tmp_path / "elsewhere"))
    cut(copy)
    before = snapshot(outputs)
    config = load(copy)
    config.load_dir = stage_one.models  # where it went on from before
    config.save_config()
    assert config.load_dir == copy / "nerfstudio_models"
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    trainer.train()
    assert trainer.base_dir == copy and str(copy / "config.yml") in config.resume_command()
    assert read_finished(copy)["run"] == str(copy)
    assert snapshot(outputs) == before
    again = Path(shutil.copytree(copy, tmp_path / "again"))
    assert load(again).get_base_dir() == again and load(again).load_dir == again / "nerfstudio_models"


@pytest.mark.slow
def test_a_whole_outputs_folder_that_moved_keeps_stage_1_and_its_store(outputs, stage_two, tmp_path: Path) -> None:
    Path(shutil.copytree(outputs / "tiny", tmp_path / "moved/tiny"))
    run = tmp_path / "moved/tiny/tda-scenes/two"
    text = (run / "config.yml").read_text()
    assert str(load(run).pipeline.autoencoder) == str(outputs / "tiny/tda-ae/one")  # it is still there
    config = yaml.load(text, Loader=yaml.Loader)
    config.output_dir = config.output_dir.parent / "gone"
    config.pipeline.autoencoder = config.output_dir / "tiny/tda-ae/one"
    (run / "config.yml").write_text(yaml.dump(config))
    assert load(run).pipeline.autoencoder == tmp_path / "moved/tiny/tda-ae/one"
    assert read_finished(run)["store"] == str(run / "store")


@pytest.mark.slow
def test_stage_2_goes_on_without_its_stage_1(stage_two, tmp_path: Path, capsys) -> None:
    run = Path(shutil.copytree(stage_two.folder, tmp_path / "two"))
    cut(run)
    config = load(run)
    config.pipeline.autoencoder = tmp_path / "gone"
    (run / "config.yml").write_text(yaml.dump(config))
    config = load(run)
    config.save_config()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    trainer.train()
    text = " ".join(capsys.readouterr().out.split())
    assert f"Stage 1 at {tmp_path / 'gone'} is not there any more: going on with what this run has kept of it." in text
    parts, where = trainer.pipeline.stage_one()
    assert where == f"The store {run / 'store'}" and parts.weights.shape == (3,)
    shutil.rmtree(run / "store")
    trainer.pipeline._stage_one = None
    with pytest.raises(TdaError, match="gone is not there any more, and no store keeps its parts. Put it back."):
        trainer.pipeline.stage_one()


@pytest.fixture
def lost(stage_two, tiny_atlas: Path, tmp_path: Path) -> Path:
    """A stage 2 whose atlas is gone."""
    run = Path(shutil.copytree(stage_two.folder, tmp_path / "lost"))
    text = yaml.dump(yaml.load((run / "config.yml").read_text(), Loader=yaml.Loader))
    (run / "config.yml").write_text(text.replace(f"- {tiny_atlas.name}\n", "- gone\n"))
    return run


@pytest.mark.slow
def test_a_lost_atlas_is_named_with_the_way_to_say_where_it_is(lost, tiny_atlas, monkeypatch, capsys) -> None:
    gone = tiny_atlas.parent / "gone"
    message = f"The atlas {gone} of the run {lost} is not there. Put it back, or say where it is now: TDA_DATA=FOLDER"
    with pytest.raises(TdaError, match=message):
        open_run(lost)
    monkeypatch.setattr(sys, "argv", ["ns-eval", "--load-config", str(lost / "config.yml")])
    with pytest.raises(SystemExit):
        yaml.load((lost / "config.yml").read_text(), Loader=yaml.Loader)
    assert "say where it is now" in " ".join(capsys.readouterr().out.replace("│", " ").split())
    monkeypatch.setenv("TDA_DATA", str(tiny_atlas))
    assert open_run(lost).datamanager.get_datapath() == tiny_atlas
    monkeypatch.setenv("TDA_DATA", "nowhere")
    with pytest.raises(TdaError, match="and TDA_DATA, .*nowhere, is no folder"):
        open_run(lost)


def test_a_name_made_of_the_time_takes_the_next_free_folder(configure: Callable, tmp_path: Path) -> None:
    from tda_nerfstudio.plugin.claim import release
    from tda_nerfstudio.plugin.run_folder import take_folder

    config = configure(output=tmp_path)
    release(config.get_base_dir())
    names = []
    for _ in range(3):
        config.timestamp, config.by_time = "2026-01-01_000000", True
        take_folder(config)
        names.append(config.get_base_dir().name)
    assert names == ["2026-01-01_000000", "2026-01-01_000000-2", "2026-01-01_000000-3"]
    assert all((tmp_path / "tiny/tda-ae" / name).is_dir() for name in names)
    config.timestamp = names[0]
    take_folder(config)  # a name that was given goes on in its folder
    assert config.timestamp == names[0] and "by_time" not in vars(config)


def test_what_is_refused_leaves_no_folder(configure: Callable, tmp_path: Path) -> None:
    config = configure()
    config.output_dir, config.max_num_iterations, schedule = tmp_path, None, config.pipeline.schedule
    schedule.warmup_visits = schedule.latent_visits = schedule.joint_visits = 0
    with pytest.raises(SystemExit):
        config.save_config()
    assert not list(tmp_path.iterdir())


def test_an_output_folder_that_cannot_be_written_is_refused_first(configure: Callable, tmp_path: Path, capsys) -> None:
    config = configure()
    (tmp_path / "file").touch()
    config.output_dir = tmp_path / "file/outputs"
    with pytest.raises(SystemExit):
        config.save_config()
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Nothing can be written to" in text and "Name another folder, or make this one writable." in text


def test_an_atlas_own_split_is_used_where_nobody_chose(configure, tiny_atlas: Path, capsys) -> None:
    parser = configure(scenes=()).pipeline.datamanager.dataparser
    assert parser.scenes == (str(tiny_atlas / "splits.json"),)
    text = " ".join(capsys.readouterr().out.split())
    line = "Using splits.json of the atlas: the 4 scenes that it has for tda-ae."
    assert f"{line} All scenes: --pipeline.datamanager.dataparser.scenes '*'" in text
    assert configure(scenes=("*",)).pipeline.datamanager.dataparser.scenes == ("*",)


def test_other_splits_choose_nothing(tmp_path: Path) -> None:
    assert split_of(tmp_path, "tda-ae", "--scenes") == ()
    for content in (["a"], {"train": ["a"]}, {"tda-ae": "a"}):
        (tmp_path / "splits.json").write_text(json.dumps(content))
        assert split_of(tmp_path, "tda-ae", "--scenes") == ()


@pytest.mark.slow
def test_a_config_that_names_what_this_version_has_not_is_refused_with_what_opens_all_the_same(
    stage_two, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(stage_two.folder, tmp_path / "run"))
    text = (run / "config.yml").read_text().replace("learning.schedule.StageTwo", "gone.Gone")
    (run / "config.yml").write_text(text)
    with pytest.raises(
        TdaError, match=r"config.yml cannot be read \(.*tda_nerfstudio.gone.*another version.*tda view ST"
    ):
        open_run(run)
