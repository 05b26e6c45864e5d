"""Tables, units and files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tda_nerfstudio.studies.bench.headline import Figure
from tda_nerfstudio.studies.bench.quality import Mark
from tda_nerfstudio.studies.bench.report import Report, draw, show, write
from tda_nerfstudio.studies.bench.timing import Row, Sample


@pytest.fixture
def report() -> Report:
    """Two rows that grow, one of them skipped."""
    samples = [Sample(s, {"march": s / 2, "backward": s / 4}, s) for s in (0.08, 0.1, 0.12)]
    timed = Row("ours", "encode-scene, 10 scenes", 4, 10, "", 3_000_000, 5_000_000, samples)
    more = Row("ours", "encode-scene, 100 scenes", 4, 100, "", 9_000_000, None, samples)
    skipped = Row("plain", "encode-scene, 1000 scenes", 32, 1000, "needs about 9.0 GB, 1.0 GB are free")
    machine = {"time": "now", "processor": "CPU", "cores": 2, "threads": 1, "device": "cpu", "load": 0.1}
    figure = Figure("growth", "x", "<= 1.1", 0.9, 1.0, 1.2, 1.01, True)
    return Report(
        machine | {"versions": {"torch": "2"}},
        {"repeats": 3},
        {"scenes": [timed, more, skipped]},
        [Mark("ours", 10, 1.5, 20.123, 0.01)],
        [figure],
        ["THE MACHINE IS BUSY"],
    )


def test_tables_are_in_milliseconds_and_megabytes(report: Report):
    head, scenes, quality = report.tables()
    assert head[2] == [["growth", "1.00 x", "0.90 to 1.20", "1.01", "<= 1.1", "reached"]]
    headings = ["path", "case", "ms", "spread", "ms an image", "march", "backward", "state MB", "peak MB"]
    assert list(scenes[1]) == headings
    assert scenes[2] == [
        ["ours", "encode-scene, 10 scenes", "100.0", "± 10 %", "25.0", "50.0", "25.0", "3", "5"],
        ["ours", "encode-scene, 100 scenes", "100.0", "± 10 %", "25.0", "50.0", "25.0", "9", ""],
        ["plain", "encode-scene, 1000 scenes", "skipped: needs about 9.0 GB, 1.0 GB are free"],
    ]
    assert quality[2] == [["ours", "10", "1.5", "20.12", "1.00e-02"]]


def test_what_is_printed(report: Report, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    show(report)
    text = capsys.readouterr().out
    assert "now, CPU, 2 cores, 1 threads, device cpu, load average 0.1 before the start" in text
    assert "skipped: needs about 9.0 GB" in text and text.rstrip().endswith("THE MACHINE IS BUSY")


def test_files_hold_everything(report: Report, tmp_path: Path):
    write(report, tmp_path)
    draw(report, tmp_path / "bench.png")
    data = json.loads((tmp_path / "bench.json").read_text())
    assert [sample["seconds"] for sample in data["groups"]["scenes"][0]["samples"]] == [0.08, 0.1, 0.12]
    assert data["groups"]["scenes"][2]["skipped"].startswith("needs about") and data["machine"]["cores"] == 2
    text = (tmp_path / "bench.md").read_text()
    assert "**THE MACHINE IS BUSY**" in text and "| growth | 1.00 x | 0.90 to 1.20 | 1.01 | <= 1.1 | reached |" in text
    with Image.open(tmp_path / "bench.png") as picture:
        assert picture.size[0] == 480
    assert {path.name for path in tmp_path.iterdir()} == {"bench.json", "bench.md", "bench.png"}


def test_without_matplotlib_the_plot_is_skipped_by_name(report, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    draw(report, tmp_path / "bench.png")
    assert "matplotlib is missing: bench.png is skipped." in capsys.readouterr().out and not list(tmp_path.iterdir())


def test_nothing_that_grew_makes_no_plot(report: Report, tmp_path: Path):
    report.groups.clear()
    draw(report, tmp_path / "bench.png")
    assert not list(tmp_path.iterdir())
