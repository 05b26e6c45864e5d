"""Tables, units and files."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tda_nerfstudio.studies.bench.headline import Comparison
from tda_nerfstudio.studies.bench.quality import Mark
from tda_nerfstudio.studies.bench.report import Report, show, write
from tda_nerfstudio.studies.bench.timing import Sample, Timing


@pytest.fixture
def report() -> Report:
    """Two rows that grow, one of them skipped."""
    samples = [Sample(s, {"march": s / 2, "backward": s / 4}, s) for s in (0.08, 0.1, 0.12)]
    timed = Timing("ours", "encode-scene, 10 scenes", 4, 10, "", 3_000_000, 5_000_000, samples)
    more = Timing("ours", "encode-scene, 100 scenes", 4, 100, "", 9_000_000, None, samples)
    skipped = Timing("plain", "encode-scene, 1000 scenes", 32, 1000, "needs about 9.0 GB, 1.0 GB are free")
    machine = {"time": "now", "processor": "CPU", "cores": 2, "threads": 1, "device": "cpu", "load": 0.1}
    figure = Comparison("growth", "x", "<= 1.1", 0.9, 1.0, 1.2, 1.01, True)
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
    assert head.lines == [["growth", "1.00 x", "0.90 to 1.20", "1.01", "<= 1.1", "reached"]]
    headings = ["path", "case", "ms", "spread", "ms an image", "march", "backward", "state MB", "peak MB"]
    assert list(scenes.headings) == headings
    assert scenes.lines == [
        ["ours", "encode-scene, 10 scenes", "100.0", "± 10 %", "25.0", "50.0", "25.0", "3", "5"],
        ["ours", "encode-scene, 100 scenes", "100.0", "± 10 %", "25.0", "50.0", "25.0", "9", ""],
        ["plain", "encode-scene, 1000 scenes", "skipped: needs about 9.0 GB, 1.0 GB are free"],
    ]
    assert quality.lines == [["ours", "10", "1.5", "20.12", "1.00e-02"]]


def test_what_is_printed(report: Report, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    show(report)
    text = capsys.readouterr().out
    assert "now, CPU, 2 cores, 1 threads, device cpu, load average 0.1 before the start" in text
    assert "skipped: needs about 9.0 GB" in text and text.rstrip().endswith("THE MACHINE IS BUSY")


def test_files_hold_everything(report: Report, tmp_path: Path):
    write(report, tmp_path)
    data = json.loads((tmp_path / "bench.json").read_text())
    assert [sample["seconds"] for sample in data["groups"]["scenes"][0]["samples"]] == [0.08, 0.1, 0.12]
    assert data["groups"]["scenes"][2]["skipped"].startswith("needs about") and data["machine"]["cores"] == 2
    text = (tmp_path / "bench.md").read_text()
    assert "**THE MACHINE IS BUSY**" in text and "| growth | 1.00 x | 0.90 to 1.20 | 1.01 | <= 1.1 | reached |" in text
    assert "| path | case | ms |" in text and "\n| --- | --- | --- |" in text and "![" in text
    assert "| plain | encode-scene, 1000 scenes | skipped: needs about 9.0 GB, 1.0 GB are free |\n" in text
    chart = ElementTree.parse(tmp_path / "bench.svg").getroot()
    assert chart.tag.endswith("svg") and chart.get("width") == "288pt"
    assert {path.name for path in tmp_path.iterdir()} == {"bench.json", "bench.md", "bench.svg"}


def test_no_text_breaks_a_table_or_becomes_a_tag(report: Report, tmp_path: Path):
    report.groups["scenes"][2].skipped = "a | b\nc <img src=x> < 9 <= 10"
    write(report, tmp_path)
    line = r"| plain | encode-scene, 1000 scenes | skipped: a \| b c &lt;img src=x> < 9 <= 10 |"
    assert line in (tmp_path / "bench.md").read_text().splitlines()


def test_nothing_that_grew_makes_no_chart(report: Report, tmp_path: Path):
    report.groups.clear()
    write(report, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"bench.json", "bench.md"}
    assert "![" not in (tmp_path / "bench.md").read_text()
