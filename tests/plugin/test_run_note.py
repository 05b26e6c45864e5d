"""A run that is gone on with has the scenes and sizes that it began with: rows of a checkpoint are no names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.plugin.config_file import opening
from tda_nerfstudio.plugin.tda_dataparser import TdaAtlas


@pytest.fixture
def begun(configure: Callable, tiny_atlas: Path, tmp_path: Path) -> Callable:
    """Give tests `begun(scenes, bases)`: the configuration of the same run each time, saved if it can be."""
    data = tmp_path / "atlas"
    shutil.copytree(tiny_atlas, data)

    def save(scenes: tuple[str, ...] = ("*",), bases: int = 3):
        config = configure("tda-ae", ("0:1",), data=data, output=tmp_path / "other")
        config.output_dir, config.timestamp, config.folder = tmp_path / "out", "run", None
        config.load_dir = config.load_checkpoint = None
        config.pipeline.datamanager.dataparser.scenes = scenes
        config.pipeline.model.triplane.bases = bases
        config.save_config()
        checkpoint = config.get_checkpoint_dir() / "step-000000000.ckpt"
        checkpoint.parent.mkdir(exist_ok=True)
        checkpoint.touch()
        return config

    return save


def load(path: Path):
    with opening(path):
        return yaml.load(path.read_text(), Loader=yaml.Loader)


def test_what_the_atlas_gains_is_for_another_run(begun: Callable, tmp_path: Path) -> None:
    path = begun().get_base_dir() / "config.yml"
    names = tuple(f"vehicle_000{i}" for i in range(6))
    assert json.loads((path.parent / "start.json").read_text())["scenes"] == list(names)
    shutil.copytree(tmp_path / "atlas/vehicle_0003", tmp_path / "atlas/aaa")
    assert TdaAtlas(load(path).pipeline.datamanager.dataparser).whole().names == names


@pytest.mark.parametrize("change", ["renamed", "broken"])
def test_a_scene_that_is_gone_is_named(begun: Callable, tmp_path: Path, change: str) -> None:
    path, scene = begun().get_base_dir() / "config.yml", tmp_path / "atlas/vehicle_0002"
    if change == "renamed":
        scene.rename(scene.with_name("zebra"))
    else:
        (scene / "train/r_000.png").unlink()
    parser = load(path).pipeline.datamanager.dataparser
    parser.eval_every = 7  # what was read before is remembered: this is another process
    with pytest.raises(TdaError, match=r"Not all scenes that this run has learnt .* any more.*vehicle_0002"):
        TdaAtlas(parser).whole()


def test_the_same_line_goes_on_and_another_is_refused_before_it_changes_anything(
    begun: Callable, capsys: pytest.CaptureFixture
) -> None:
    folder = begun(("0:3",)).get_base_dir()
    kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    first = "3 scenes: vehicle_0000, vehicle_0001, vehicle_0002; now there are 3 scenes: vehicle_0003"
    for scenes, bases, said in (
        (("3:6",), 3, first),
        (("0:3",), 5, "--pipeline.model.triplane.bases 3; now it is 5"),
    ):
        capsys.readouterr()
        with pytest.raises(SystemExit):
            begun(scenes, bases)
        text = " ".join(capsys.readouterr().out.replace("│", " ").split())
        assert f"The run that would be gone on with began with {said}" in text
        assert f"ns-train tda-ae --load-config {folder / 'config.yml'}" in text
        assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == kept
    assert begun(("0:3",)).load_dir == folder / "nerfstudio_models"
