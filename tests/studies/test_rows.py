"""A run's row: what is in it, and what marks one that is incomplete or damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tda_nerfstudio.studies.rows import RunRow, find_runs, write_row
from tda_nerfstudio.studies.run_row import read_row, row_of

RESULTS = sorted((Path(__file__).parents[2] / "configs/results").rglob("*.json"))
LOSS = {"Train Loss Dict/latent": {0: 0.5, 2: 0.25}}


@pytest.fixture
def pair(make_run, write_events) -> tuple[Path, Path]:
    """A stage 1 and a stage 2 that started from it, both whole."""
    phases = [{"name": "joint", "start": 0, "end": 9, "visits": 8, "timed_steps": 9, "seconds": 600.0}]
    one = make_run("one", "tda-ae", 24.0, phases=phases)
    two = make_run("two", stage_one=one)
    for run in (one, two):
        write_events(run, LOSS)
    return one, two


def test_a_whole_run_has_every_entry_and_no_problem(pair) -> None:
    row = row_of(pair[1])
    assert row.problems == [] and row.complete
    assert all(value for key, value in row.model_dump().items() if key != "problems")  # nothing is unknown
    assert (row.name, row.output, row.method, row.space) == ("two", "out", "tda-scenes", "3d-aware")
    assert row.commands == ["ns-train tda-scenes --data cars --output-dir OUT"]
    assert row.data == {"name": "cars", "split": ["splits.json"], "image_size": [64, 64]}
    assert (row.model["f"], row.model["C"], row.model["fingerprint"]) == (8, 4, "f00d")
    assert row.stage_one == {
        "name": "one",
        "fingerprint": "f00d",
        "space": "3d-aware",
        "scenes": 2,
        "seconds": 600.0,
    }
    assert row.seconds == 240.0 and row.minutes_per_scene == 2.0 and row.seed == 42
    assert row.ms_per_view == {"march": 10.0, "decode": 4.0}
    assert row.bytes["m_mic"] == 120 and row.bytes["m_AE"] == 72
    assert row.metrics["latent_std"] == [0.12346] and row.metrics["psnr"] == 20.0
    assert row.scenes["name"] == ["bus", "van"] and row.scenes["psnr"] == [19.0, 21.0]
    assert row.scenes["views"][0] == row.scenes["views"][1] and row.scenes["views"][0].startswith("2:")
    assert row.curves == {"latent": ([0, 2], [0.5, 0.25])}


def test_commands_name_no_folder_of_the_machine(make_run, tmp_path: Path) -> None:
    words = f"--output-dir {tmp_path}/out --data={tmp_path}/data/cars --x {tmp_path}/out/cars/one 'a b' a/b"
    run = make_run("a", commands=[f"ns-train tda-ae {words} --s '!{tmp_path}/data/splits.json#k' /else/where", "'"])
    assert row_of(run).commands == [
        "ns-train tda-ae --output-dir OUT --data=cars --x OUT/cars/one 'a b' a/b --s '!splits.json#k' .../where",
        "'",
    ]


def test_a_row_is_written_a_key_a_line_and_comes_back(pair, tmp_path: Path) -> None:
    row = row_of(pair[1])
    write_row(row, tmp_path / "rows/two.json", preset={"settings": 1})
    text = (tmp_path / "rows/two.json").read_text()
    keys = [name for name in RunRow.model_fields if name != "label"]
    assert list(json.loads(text)) == [*keys, "preset"]
    assert len(text.splitlines()) == len(keys) + 3 and str(tmp_path) not in text
    assert read_row(tmp_path / "rows/two.json") == row


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_rows_that_are_kept_come_back_as_they_are(path: Path, tmp_path: Path) -> None:
    row, content = read_row(path), json.loads(path.read_text())
    write_row(row, tmp_path / "again.json", preset=content["preset"])
    assert row.problems == [] and (tmp_path / "again.json").read_text() == path.read_text()


def test_rows_come_from_run_folders_row_files_and_folders_of_either(pair, tmp_path: Path) -> None:
    one, two = pair
    for run in pair:
        write_row(row_of(run), tmp_path / f"rows/sub/{run.name}.json")
    assert [read_row(path).name for path in (two, tmp_path / "rows/sub/one.json")] == ["two", "one"]
    assert find_runs([tmp_path / "rows"]) == [tmp_path / "rows/sub/one.json", tmp_path / "rows/sub/two.json"]
    assert find_runs([tmp_path / "out", one]) == [one, two]


def test_an_unfinished_run_is_marked(make_run) -> None:
    run = make_run("a")
    (run / "finished.json").unlink()
    row = row_of(run)
    assert not row.complete and row.method == "tda-scenes" and row.phases == []
    assert row.problems[0].startswith("a is not a finished run: it has no finished.json. Let it finish")


def test_a_run_that_is_not_there_is_marked(tmp_path: Path) -> None:
    row = row_of(tmp_path / "gone")
    problem = "gone does not exist. Give the folder of a finished run, or its config.yml."
    assert row == RunRow(name="gone", problems=[problem])


def test_a_moved_run_keeps_its_numbers_and_says_what_is_gone(pair, tmp_path: Path) -> None:
    one, two = pair
    two.rename(tmp_path / "elsewhere")
    shutil.rmtree(one)
    shutil.rmtree(tmp_path / "data")
    row = row_of(tmp_path / "elsewhere")
    assert row.complete and row.bytes["m_B"] == 120 and row.space == ""
    assert row.problems == [
        "Its data, 'cars', is not where it was: no pictures.",
        "Stage 1, 'one', is not where it was: its space and its minutes are not known.",
    ]


def test_damage_is_marked_and_the_rest_is_kept(pair, tmp_path: Path) -> None:
    two = pair[1]
    (two / "nerfstudio_models/step-000000003.ckpt").unlink()
    (two / "config.yml").write_text("a: [")
    row = row_of(two)
    assert row.complete and row.metrics["psnr"] == 20.0 and row.bytes == {}
    assert row.problems[0].startswith("two/config.yml cannot be read (while parsing")
    assert row.problems[1] == (
        "The checkpoint two/nerfstudio_models/step-000000003.ckpt is missing: bytes are not known."
    )
    (two / "finished.json").write_text("{")
    assert "two/finished.json cannot be read" in row_of(two).problems[0]


def test_a_manifest_of_another_shape_is_marked(pair) -> None:
    (pair[1] / "finished.json").write_text('{"metrics": [1], "scene_names": 3}')
    row = row_of(pair[1])
    assert not row.complete
    assert row.problems[0].startswith("Its finished.json or config.yml holds something else than it should (")


def test_a_run_that_was_timed_in_part_has_no_minutes(make_run) -> None:
    phase = {"name": "encode-scene", "start": 0, "end": 4, "visits": 16.0, "timed_steps": 2, "seconds": 60.0}
    row = row_of(make_run("a", phases=[phase]))
    assert row.seconds is None and row.minutes_per_scene is None and row.phases == [phase | {"seconds": None}]
    assert "Phase 'encode-scene': 2 of 4 steps were timed, so there are no minutes." in row.problems


def test_a_stage_one_that_was_trained_again_is_not_taken_for_the_old_one(pair) -> None:
    one, two = pair
    manifest = json.loads((one / "finished.json").read_text())
    manifest["model"]["fingerprint"] = "beef"
    (one / "finished.json").write_text(json.dumps(manifest))
    row = row_of(two)
    assert row.problems == ["Stage 1, 'one', has changed since: its space and its minutes are not known."]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "x.json cannot be read"),
        ("[1]", "x.json is no row of a run."),
        ('{"format": 99}', "x.json is of a newer version (format 99, here 1). Update the package."),
        ('{"format": 1, "metrics": 3, "scenes": null}', "x.json is damaged: metrics, scenes cannot be used."),
        ('{"format": 1, "bytes": {"m_w": 1}, "phases": [1]}', "x.json is damaged: phases, bytes cannot be used."),
        ('{"format": 1, "curves": {"rgb": [[1], []]}}', "x.json is damaged: curves cannot be used."),
    ],
)
def test_damaged_and_newer_row_files_are_marked(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "x.json").write_text(text)
    row = read_row(tmp_path / "x.json")
    assert row.name == "x" and not row.complete
    assert row.problems[0].startswith(problem)


@pytest.mark.slow
def test_a_real_run_is_whole_and_small(stage_two) -> None:
    row = row_of(stage_two.folder)
    assert row.problems == [] and row.complete and row.space == "3d-aware"
    assert row.commands[0].startswith("ns-train tda-scenes --data tiny --max-num-iterations 12")
    assert [phase["name"] for phase in row.phases] == ["encode-scene", "decode-scene"]
    assert [phase["timed_steps"] for phase in row.phases] == [phase["end"] - phase["start"] for phase in row.phases]
    assert row.phases[-1]["end"] == 12
    assert row.seconds > 0 and row.stage_one["seconds"] > 0
    assert row.bytes["m_mic"] == 4 * 3 * 16 * 16 * 10 and row.bytes["m_w"] == 4 * 3
    assert set(row.curves) == {"latent", "rgb", "tv"}
    assert len(json.dumps(row.model_dump())) < 60_000
