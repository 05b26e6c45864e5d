"""The commands of `tda`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
from PIL import Image

CONFIGS = Path(__file__).parents[2] / "configs"
LIGHT = """
import sys
from tda_nerfstudio.cli.main import entrypoint
try:
    entrypoint()
finally:
    print("LOADED", *sorted({name.split(".")[0] for name in sys.modules} & {"nerfstudio", "torch", "diffusers"}))
"""


def test_help_names_every_command(command) -> None:
    result = command("tda", "--help")
    assert result.code == 0
    for word in ("atlas", "run", "render", "sheet", "gallery", "report"):
        assert f"• {word} " in result.text


def test_help_and_the_demo_atlas_load_no_nerfstudio(tmp_path: Path) -> None:
    import subprocess

    for words, allowed in ((["--help"], ""), (["atlas", "demo", str(tmp_path / "x"), "--scenes", "1"], "torch")):
        small = [*words, "--views", "1", "--test-views", "1", "--size", "8"] if "demo" in words else words
        done = subprocess.run([sys.executable, "-c", LIGHT, *small], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        loaded = done.stdout.splitlines()[-1].split()
        assert loaded[0] == "LOADED"
        assert set(loaded[1:]) <= {allowed}


def test_atlas_demo_writes_scenes_and_splits_and_keeps_what_is_there(command, tmp_path: Path) -> None:
    words = ["atlas", "demo", "cars", "--scenes", "4", "--views", "3", "--test-views", "1", "--size", "16"]
    result = command("tda", *words, cwd=tmp_path)
    assert result.code == 0, result.text
    assert result.text.endswith(
        "Wrote 4 scenes to cars. Next:\n  ns-train tda-ae --data cars\n  ns-train tda-scenes --data cars\n"
    )
    splits = json.loads((tmp_path / "cars/splits.json").read_text())
    assert splits["tda-ae"] == ["vehicle_0000", "vehicle_0001", "vehicle_0002"]
    assert splits["tda-scenes"] == splits["tda-rgb"] == ["vehicle_0003"]
    assert len(list((tmp_path / "cars/vehicle_0003").glob("t*/*.png"))) == 4
    refused = command("tda", *words[:-1], "24", cwd=tmp_path)
    assert refused.code == 1
    assert "Traceback" not in refused.text
    assert "tda: cars/vehicle_0000 exists already and was not made with these options" in refused.flat


def test_atlas_meshes_writes_scenes_and_names_what_it_leaves_out(command, tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "models").mkdir()
    (tmp_path / "models/good.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    (tmp_path / "models/bad.glb").write_bytes(b"glTF")
    words = ["atlas", "meshes", "models", "out", "--views", "2", "--test-views", "1", "--size", "8", "--front=-z"]
    done = subprocess.run([sys.executable, "-c", LIGHT, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Wrote 1 scene to out, 1 model left out. Next:\n  ns-train tda-ae --data out\n" in done.stdout
    assert "Left out: Model models/bad.glb: It is truncated: 4 of 12 bytes are there. Copy it again." in done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED"
    assert len(list((tmp_path / "out/good").glob("t*/*.png"))) == 3
    (tmp_path / "models/good.obj").unlink()
    refused = command("tda", *words, cwd=tmp_path)
    assert refused.code == 1
    assert "Traceback" not in refused.text
    assert "tda: No model in models could be rendered, of 1. The first: Model models/bad.glb: It is" in refused.flat


def test_a_dry_run_prints_plain_commands_and_makes_nothing(command, tmp_path: Path) -> None:
    result = command("tda", "run", CONFIGS / "demo.yml", "--dry", cwd=tmp_path)
    assert result.code == 0, result.text
    lines = [shlex.split(line[2:]) for line in result.text.splitlines() if line.startswith("$ ")]
    assert [words[0] for words in lines][:3] == ["tda", "ns-train", "ns-train"]
    assert {words[0] for words in lines} == {"tda", "ns-train", "ns-eval"}
    assert lines[0][1:4] == ["atlas", "demo", str(tmp_path / "demo/atlas")]
    assert [words[1] for words in lines if words[0] == "ns-train"] == ["tda-ae", "tda-scenes"]
    assert not list(tmp_path.iterdir())


def test_a_missing_preset_is_an_error_without_a_traceback(command, tmp_path: Path) -> None:
    result = command("tda", "run", "none.yml", cwd=tmp_path)
    assert result.code == 1
    assert result.text.strip() == "tda: The preset none.yml does not exist. Give a YAML file such as configs/demo.yml."


@pytest.fixture(scope="module")
def shown(commands, stage_one, stage_two, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """Run render and sheet in every way; give the folder of pictures and the results by key."""
    folder = tmp_path_factory.mktemp("shown")
    load = ["--load-config", stage_one.config]
    four = ["rgb", "latent", "depth", "accumulation"]
    lines = {
        "one.mp4": ["render", *load, "--scene", "vehicle_0002", "--frames", "3", "--output-names", *four],
        "all.mp4": ["render", "--load-config", stage_two.folder, "--scene", "all", "--frames", "2", "--size", "48"],
        "typo.mp4": ["render", *load, "--scene", "vehicle_02"],
        "sheet.png": ["sheet", *load, "--scenes", "2"],
        "no run.png": ["sheet", "--load-config", folder / "config.yml"],
    }
    lines = {key: [*words, "--output", folder / key] for key, words in lines.items()}
    return folder, commands("tda", lines)


@pytest.mark.slow
def test_render_writes_a_turntable_of_the_named_scene_outputs_side_by_side(shown: tuple) -> None:
    import imageio.v2 as imageio

    folder, results = shown
    assert results["one.mp4"].code == 0, results["one.mp4"].text
    assert f"Wrote {folder}/one.mp4" in results["one.mp4"].flat
    with imageio.get_reader(folder / "one.mp4") as video:
        assert [frame.shape for frame in video] == [(32, 4 * 32, 3)] * 3


@pytest.mark.slow
def test_render_shows_all_scenes_one_after_the_other_at_any_size(shown: tuple) -> None:
    import imageio.v2 as imageio

    folder, results = shown
    assert results["all.mp4"].code == 0, results["all.mp4"].text
    with imageio.get_reader(folder / "all.mp4") as video:
        assert [frame.shape for frame in video] == [(48, 48, 3)] * (2 * 2)


@pytest.mark.slow
def test_render_of_an_unknown_scene_suggests_the_nearest_and_writes_nothing(shown: tuple) -> None:
    folder, results = shown
    assert results["typo.mp4"].code == 1
    assert "Traceback" not in results["typo.mp4"].text
    said = "(4 scenes: vehicle_0000, vehicle_0001, vehicle_0002, vehicle_0003) holds no scene 'vehicle_02'."
    assert f"{said} Did you mean 'vehicle_0002'?" in results["typo.mp4"].flat
    assert not list(folder.glob("typo*"))


@pytest.mark.slow
def test_sheet_draws_a_row_for_each_of_the_chosen_scenes(shown: tuple) -> None:
    folder, results = shown
    assert results["sheet.png"].code == 0, results["sheet.png"].text
    assert Image.open(folder / "sheet.png").size == (2 * 4 * 128, 18 + 2 * (128 + 18))


@pytest.mark.slow
def test_a_folder_that_is_no_run_is_named(shown: tuple) -> None:
    folder, results = shown
    assert results["no run.png"].code == 1
    assert f"tda: {folder}/config.yml does not exist. Give the config.yml of a run" in results["no run.png"].flat
