"""What presets say, what runs start from, and which mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.studies.preset import Run, read_preset


def read(folder: Path, text: str) -> dict[str, Run]:
    path = folder / "mine.yml"
    path.write_text(text)
    return {run.name: run for run in read_preset(path).runs}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("runs: {a: {method: tda-ae, sett: {}}}", "unknown key 'sett' in run 'a'. Did you mean 'set'?"),
        ("datta: x\nruns: {a: {method: tda-ae}}", "unknown key 'datta' in the preset. Did you mean 'data'?"),
        ("runs: {a: {set: {}}}", "run 'a' names no method (tda-ae, tda-scenes or tda-rgb)."),
        ("runs: {a: tda-ae}", "run 'a' must be a set of keys such as {method: tda-ae}, not 'tda-ae'."),
        ("runs: {a: {method: tda-ae, seeds: 3}}", "'seeds' in run 'a' must be a list, not 3."),
        ("runs: {a: {method: tda-ae, seeds: [x]}}", "'seeds' in run 'a' must be a integer"),
        ("data: [1]\nruns: {a: {method: tda-ae}}", "'data' in the preset must be a string, not [1]."),
        ("about: nothing", "needs a `runs:` section that names at least one run."),
        ("runs: [", "is not YAML: "),
        (
            "runs: {a: {method: tda-ae, expects: {pnsr: [1, 2]}}}",
            "run 'a' expects the unknown score 'pnsr'. Did you mean",
        ),
        ("runs: {a: {method: tda-ae, expects: {psnr: 20}}}", "expects psnr to be 20; write it as [lowest, highest]."),
        ("runs: {a: {method: tda-ae, expects: {psnr: [3, 2]}}}", "expects psnr to be [3, 2]; write it as [lowest,"),
        ("runs: {a: {method: tda-ae, from: b}}", "run 'a' is tda-ae; only tda-scenes starts `from` another run."),
        (
            "runs: {one: {method: tda-ae}, b: {method: tda-scenes, from: onn}}",
            "run 'b' starts from 'onn', which is no tda-ae run above it. Did you mean 'one'?",
        ),
        (
            "runs: {x: {method: tda-ae}, y: {method: tda-ae}, b: {method: tda-scenes}}",
            "run 'b' needs `from:`, as there are several: x, y.",
        ),
        (
            "runs: {x: {method: tda-ae, seeds: [0, 1]}, b: {method: tda-scenes, seeds: [1, 2]}}",
            "run 'b' has seed 2, and the run it starts from has only 0, 1.",
        ),
    ],
)
def test_mistakes_in_a_preset_are_named(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(TdaError) as caught:
        read(tmp_path, text)
    assert error in str(caught.value)
    assert str(tmp_path / "mine.yml") in str(caught.value)


def test_a_missing_preset_is_named(tmp_path: Path) -> None:
    with pytest.raises(TdaError, match="no.yml does not exist. Give a YAML file such as configs/demo.yml."):
        read_preset(tmp_path / "no.yml")


def test_options_of_a_run_win_over_those_of_the_preset(tmp_path: Path) -> None:
    runs = read(tmp_path, "set: {a: 1, b: [x, y]}\nruns: {r: {method: tda-ae, set: {a: 2}}}")
    assert runs["r"].options == {"a": 2, "b": ["x", "y"]}


def test_stage_two_starts_from_the_stage_one_that_it_names_or_from_the_only_one(tmp_path: Path) -> None:
    runs = read(tmp_path, "runs: {x: {method: tda-ae}, b: {method: tda-scenes}, r: {method: tda-rgb}}")
    assert runs["b"].source is runs["x"] and runs["x"].source is None and runs["r"].source is None
    runs = read(tmp_path, "runs: {x: {method: tda-ae}, y: {method: tda-ae}, b: {method: tda-scenes, from: y}}")
    assert runs["b"].source is runs["y"]
    assert read(tmp_path, "runs: {b: {method: tda-scenes}}")["b"].source is None


def test_seeds_repeat_a_run_on_one_stage_one(tmp_path: Path) -> None:
    runs = read(tmp_path, "runs: {x: {method: tda-ae}, b: {method: tda-scenes, seeds: [0, 7], set: {k: 1}}}")
    assert list(runs) == ["x", "b-seed0", "b-seed7"]
    assert runs["b-seed7"].options == {"k": 1, "machine.seed": 7}
    assert runs["b-seed0"].source is runs["b-seed7"].source is runs["x"]


@pytest.mark.parametrize(("seeds", "expected"), [("", [0, 1]), (", seeds: [1]", [1])])
def test_seeds_of_stage_one_are_paired_with_those_of_stage_two(tmp_path: Path, seeds: str, expected: list) -> None:
    runs = read(tmp_path, f"runs: {{x: {{method: tda-ae, seeds: [0, 1]}}, b: {{method: tda-scenes{seeds}}}}}")
    paired = [name for name in runs if name.startswith("b")]
    assert paired == [f"b-seed{seed}" for seed in expected]
    for seed in expected:
        assert runs[f"b-seed{seed}"].source is runs[f"x-seed{seed}"]


def test_settings_go_back_to_stage_one(tmp_path: Path) -> None:
    runs = read(tmp_path, "runs: {x: {method: tda-ae, set: {a: 1}}, b: {method: tda-scenes, show: true}}")
    first = {"method": "tda-ae", "set": {"a": 1}, "from": None}
    assert runs["x"].settings() == first
    assert runs["b"].settings() == {"method": "tda-scenes", "set": {}, "from": first}
