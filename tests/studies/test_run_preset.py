"""What `tda run` does, skips and goes on with; on runs that a stand-in for ns-train makes at once."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.studies import run_preset as module
from tda_nerfstudio.studies.preset import read_preset
from tda_nerfstudio.studies.run_preset import as_arguments, open_study, run_preset

PRESET = """
about: Nothing much.
data: cars
runs:
  one: {method: tda-ae, set: {machine.seed: 3}}
  x: {method: tda-scenes, set: {k: [1, 2]}}
  y: {method: tda-scenes, expects: {psnr: [25, 30], ssim: [0, 1], lpips: [0, 1]}}
"""


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    path = tmp_path / "configs/sub/mine.yml"
    path.parent.mkdir(parents=True)
    (path.parent / "cars").mkdir()
    path.write_text(PRESET.replace(", lpips: [0, 1]", "").replace("25, 30", "20, 30"))
    return path


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let ns-train finish at once, with 21 dB; list the names of the runs that it was called for."""
    names: list[str] = []

    def train(words: list[str], dry: bool) -> None:
        if dry or words[0] != "ns-train":
            return
        given = dict(zip(words[2::2], words[3::2], strict=False))
        names.append(given["--timestamp"])
        finish(Path(given["--output-dir"]) / Path(given["--data"]).name / words[1] / names[-1], words[1])

    monkeypatch.setattr(module, "_call", train)
    monkeypatch.setattr(module, "require_known_options", lambda preset: None)
    return names


def finish(folder: Path, method: str, psnr: float = 21.0) -> None:
    (folder / "nerfstudio_models").mkdir(parents=True, exist_ok=True)
    (folder / "nerfstudio_models/last.ckpt").touch()
    metrics = {"psnr": psnr, "ssim": 0.5, "ceiling_psnr": 30.0, "scenes": {}}
    content = {"method": method, "checkpoint": "nerfstudio_models/last.ckpt", "metrics": metrics}
    (folder / "finished.json").write_text(json.dumps(content))


def checkpoint(out: Path, method: str, name: str) -> Path:
    return out / "runs/cars" / method / name / "nerfstudio_models/last.ckpt"


def test_every_run_is_made_once_and_leaves_a_row(preset: Path, tmp_path: Path, trained: list[str]) -> None:
    run_preset(preset, tmp_path / "out")
    run_preset(preset, tmp_path / "out")
    assert trained == ["one", "x", "y"]
    rows = tmp_path / "configs/results/sub/mine"
    assert sorted(path.name for path in rows.iterdir()) == ["one.json", "x.json", "y.json"]
    row = json.loads((rows / "x.json").read_text())
    assert (row["name"], row["method"], row["metrics"]["psnr"]) == ("x", "tda-scenes", 21.0)
    source = {"method": "tda-ae", "set": {"machine.seed": 3}, "from": None}
    expected = {"data": "cars", "method": "tda-scenes", "set": {"k": [1, 2]}, "from": source}
    assert row["preset"]["settings"] == expected


def test_a_row_is_rewritten_only_when_its_run_changed(preset: Path, tmp_path: Path, trained: list[str]) -> None:
    run_preset(preset, tmp_path / "out", results=tmp_path / "rows")
    mark = '{"touched": 1, '
    for name in ("x", "y"):
        path = tmp_path / f"rows/{name}.json"
        path.write_text(path.read_text().replace("{", mark, 1))
    finish(checkpoint(tmp_path / "out", "tda-scenes", "y").parents[1], "tda-scenes", 22.0)
    run_preset(preset, tmp_path / "out", results=tmp_path / "rows")
    assert mark in (tmp_path / "rows/x.json").read_text()
    assert json.loads((tmp_path / "rows/y.json").read_text())["metrics"]["psnr"] == 22.0
    assert mark not in (tmp_path / "rows/y.json").read_text()


def test_rows_count_without_checkpoints_unless_a_missing_run_starts_from_one(
    preset: Path, tmp_path: Path, trained: list[str]
) -> None:
    out = tmp_path / "out"
    run_preset(preset, out)
    for method, name in (("tda-ae", "one"), ("tda-scenes", "x")):
        checkpoint(out, method, name).unlink()
    trained.clear()
    run_preset(preset, out)
    run_preset(preset, tmp_path / "elsewhere")
    assert trained == []
    (tmp_path / "configs/results/sub/mine/y.json").unlink()
    run_preset(preset, tmp_path / "elsewhere")
    assert trained == ["one", "y"]


def test_what_is_to_be_shown_needs_its_checkpoint(preset: Path, tmp_path: Path, trained: list[str]) -> None:
    run_preset(preset, tmp_path / "out")
    preset.write_text(preset.read_text().replace("x: {", "x: {show: true, "))
    trained.clear()
    run_preset(preset, tmp_path / "elsewhere")
    assert trained == ["one", "x"]


def test_other_settings_make_a_row_count_no_more(preset: Path, tmp_path: Path, trained: list[str]) -> None:
    run_preset(preset, tmp_path / "out")
    preset.write_text(preset.read_text().replace("[1, 2]", "[1, 3]"))
    trained.clear()
    run_preset(preset, tmp_path / "elsewhere")
    assert trained == ["one", "x"]
    folder = checkpoint(tmp_path / "out", "tda-scenes", "x").parents[1]
    with pytest.raises(TdaError) as caught:
        run_preset(preset, tmp_path / "out")
    assert f"{folder} was made with other settings than {preset} has now: set k was [1, 2], and is [1, 3]" in str(
        caught.value
    )


def test_expectations_that_fail_are_all_listed_with_their_distance(
    preset: Path, tmp_path: Path, trained: list[str]
) -> None:
    preset.write_text(PRESET.replace("seed: 3}", "seed: 3}, expects: {psnr: [1, 20], ceiling_psnr: [29, 31]}", 1))
    with pytest.raises(TdaError) as caught:
        run_preset(preset, tmp_path / "out")
    assert str(caught.value).split("\n  ") == [
        "The preset ran, but not as expected:",
        "one: psnr is 21.000, expected 1 to 20: 1.000 too high",
        "y: psnr is 21.000, expected 25 to 30: 4.000 too low",
        "y: lpips was not measured, expected 0 to 1",
    ]


def test_a_dry_run_prints_every_line_and_what_is_done(
    preset: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    finish(checkpoint(out, "tda-ae", "one").parents[1], "tda-ae")
    run_preset(preset, out, dry=True)
    lines = capsys.readouterr().out.splitlines()[2:]
    train = f"--data {preset.parent}/cars --output-dir {out}/runs --timestamp"
    assert lines == [
        "# Run 1 of 3: one, 0.0 minutes so far",
        f"# Already finished: {out}/runs/cars/tda-ae/one",
        f"# $ ns-train tda-ae {train} one --vis tensorboard --machine.seed 3",
        "# Run 2 of 3: x, 0.0 minutes so far",
        f"$ ns-train tda-scenes {train} x --vis tensorboard --pipeline.autoencoder {out}/runs/cars/tda-ae/one --k 1 2",
        "# Run 3 of 3: y, 0.0 minutes so far",
        f"$ ns-train tda-scenes {train} y --vis tensorboard --pipeline.autoencoder {out}/runs/cars/tda-ae/one",
        f"# A row for each run: {tmp_path}/configs/results/sub/mine",
    ]
    assert not (tmp_path / "configs/results").exists() and len(list(out.rglob("preset.json"))) == 0


def test_data_from_the_command_line_wins_and_must_be_there(preset: Path, tmp_path: Path, trained: list[str]) -> None:
    study = open_study(read_preset(preset), tmp_path, tmp_path / "trucks", None)
    assert study.data == tmp_path / "trucks"
    preset.write_text("runs: {a: {method: tda-ae}}")
    with pytest.raises(TdaError, match=f"say which atlas, .*, with `tda run {preset} --data PATH`"):
        run_preset(preset, tmp_path, dry=True)
    with pytest.raises(TdaError, match=f"The atlas {tmp_path}/none of {preset} does not exist. Say where it is with"):
        run_preset(preset, tmp_path / "out", data=tmp_path / "none")


def test_options_are_spelled_as_words() -> None:
    assert as_arguments({"a.b": 2, "c": ["x", "y"], "d": False}) == ["--a.b", "2", "--c", "x", "y", "--d", "False"]


def test_rows_lie_beside_a_preset_that_is_in_no_configs_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text("data: cars\nruns: {a: {method: tda-ae}}")
    assert open_study(read_preset(tmp_path / "mine.yml"), None, None, None).results == tmp_path / "results/mine"


def test_a_command_that_is_interrupted_may_save_before_it_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    script = "import time; print('up', flush=True); time.sleep(1); open('saved', 'w'); raise SystemExit(130)"
    monkeypatch.chdir(tmp_path)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(TdaError, match="ended with exit code 130; see above. Run the same preset again to go on."):
        module._call([Path(sys.executable).name, "-c", script], dry=False)
    assert (tmp_path / "saved").exists()


def test_the_options_of_a_preset_are_checked_before_its_atlas_is_made(preset: Path, tmp_path: Path) -> None:
    with pytest.raises(TdaError, match="unknown key 'k' in the options of tda-scenes"):
        run_preset(preset, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_commands_show_no_known_warnings_and_all_others(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "ignore:of the user's own")
    script = "from warnings import warn_explicit as warn\n"
    for words in ("`torch.jit.script` is deprecated", "of the user's own", "of others"):
        script += f'warn("{words}", FutureWarning, "file.py", 3, "torch.jit._script")\n'
    module._call([Path(sys.executable).name, "-c", script], dry=False)
    assert capfd.readouterr().err.strip() == "file.py:3: FutureWarning: of others"
