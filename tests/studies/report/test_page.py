"""The page: one file, everything in it, nothing mixed, and never a crash."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.studies.report import run_pictures
from tda_nerfstudio.studies.report.figures import ScenePictures
from tda_nerfstudio.studies.report.page import write_report
from tda_nerfstudio.studies.rows import RunRow, write_row

VOID = {"meta", "img", "wbr", "br", "path", "use"}


class Balance(HTMLParser):
    """Checks that every element is closed in order, and collects the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert tag in VOID or self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.text += data if "style" not in self.open else ""


def read(path: Path) -> tuple[str, str]:
    """Give a page and its text, after checking that it is whole and asks the network for nothing."""
    page, parser = path.read_text(), Balance()
    parser.feed(page)
    assert parser.open == [] and page.startswith("<!DOCTYPE html>")
    assert not re.search(r"https?://|url\(|@import|<script|<link", page)
    assert all(source.startswith("data:image/") for source in re.findall(r'src="([^"]*)"', page))
    return page, " ".join(parser.text.split())


@pytest.fixture
def keep(tmp_path: Path):
    """Give tests `keep(row)`: write a row's file."""

    def write(row: RunRow) -> Path:
        path = tmp_path / f"rows/{row.name}.json"
        write_row(row, path)
        return path

    return write


def test_a_page_from_rows_alone_has_all_but_pictures_and_says_so(make_row, keep, tmp_path: Path) -> None:
    keep(make_row("a", commands=["ns-train <x> --y 1"]))
    keep(make_row("b", {"bus": 18.0, "van": 19.0}, space="standard"))
    written = write_report([tmp_path / "rows"], tmp_path / "out/report.html")
    assert written == (tmp_path / "out/report.html", tmp_path / "out/report.md")
    page, text = read(written[0])
    for part in ("Memory a scene, m(N)", "Training time a scene, t(N)", "Losses of a", "encode-scene", "+2.50 ± 0.50"):
        assert part in text
    assert "3Da-AE, published" in text and "RGB Tri-Plane, published" in text
    assert "ns-train <x> --y 1" in text and "Seed 42" in text
    assert "a: made from its row alone, without its checkpoint" in text
    assert "prefers-color-scheme:dark" in page and "groups that cannot be compared" not in text
    table = written[1].read_text()
    assert "| a | tda-scenes, 3d-aware | 21.00 | 0.800 |" in table and table.index("| a |") < table.index("| b |")


def test_runs_that_cannot_be_compared_are_in_tables_of_their_own(make_row, keep, tmp_path: Path) -> None:
    keep(make_row("a"))
    keep(make_row("rgb", {"bus": 28.0}, method="tda-rgb", space=""))
    _, text = read(write_report([tmp_path / "rows"], tmp_path / "report.html")[0])
    assert "These runs fall into 2 groups that cannot be compared" in text
    tables = (tmp_path / "report.md").read_text().split("## ")
    assert "| a |" in tables[1] and "| rgb |" not in tables[1] and "| rgb |" in tables[2]


def test_incomplete_damaged_and_moved_runs_are_marked(make_run, make_row, keep, tmp_path: Path) -> None:
    keep(make_row("a"))
    (tmp_path / "rows/bad.json").write_text("{")
    (tmp_path / "rows/b.json").write_text('{"format": 1, "metrics": {"psnr": 1.0}, "bytes": {"m_w": "x"}}')
    cut, moved = make_run("cut"), make_run("moved")
    (cut / "finished.json").unlink()
    moved.rename(tmp_path / "moved")
    (tmp_path / "data/cars").rename(tmp_path / "data/vans")
    output = tmp_path / "report.html"
    _, text = read(write_report([tmp_path / "rows", cut, tmp_path / "moved"], output)[0])
    assert "These runs have no metrics, so they are in no table: bad, cut." in text
    assert "cut is not a finished run: it has no finished.json." in text
    assert "bad.json cannot be read" in text
    assert "moved: Its data, 'cars', is not where it was: no pictures." in text
    assert "b.json is damaged: bytes cannot be used." in text
    assert "| moved † |" in output.with_suffix(".md").read_text()


def test_pictures_and_names_are_laid_out_and_escaped(make_run, tmp_path: Path, monkeypatch) -> None:
    pictures = ScenePictures(*(f"data:image/png;base64,{kind}" for kind in ("truth", "encoded", "rendered", "decoded")))
    monkeypatch.setattr(run_pictures, "take_pictures", lambda run, scenes: dict.fromkeys(scenes, pictures))
    scenes = {"b_us": {"psnr": 19.0}, "<van>": {"psnr": 21.0}}
    run = make_run("a", "tda-ae", scene_names=list(scenes), metrics={"psnr": 20.0, "ssim": 0.5, "scenes": scenes})
    content, text = read(write_report([run], tmp_path / "report.html")[0])
    assert "<th>b_<wbr>us</th><th>&lt;van&gt;</th>" in content and "<van>" in text
    assert "No standard run of these scenes could be shown beside." in text
    gallery = content.split("<h3>Gallery</h3>")[1]
    assert re.findall('base64,([a-z]*)" alt="([^"]*)"', gallery) == [
        *(("truth", "b_us"), ("decoded", "b_us")),
        *(("truth", "&lt;van&gt;"), ("decoded", "&lt;van&gt;")),
    ]
    assert "a<br>19.0 dB" in gallery and "a<br>21.0 dB" in gallery
    assert '<th>run</th><th>method</th><th class="n">PSNR dB</th>' in content
    assert '<td>tda-ae, 3d-aware</td><td class="n">20.00</td>' in content


@pytest.mark.slow
def test_a_run_that_does_not_open_is_named_with_the_reason(make_run, tmp_path: Path) -> None:
    run = make_run("a")
    (run / "config.yml").write_text((run / "config.yml").read_text().replace("TdaTrainerConfig", "GoneConfig"))
    _, text = read(write_report([run], tmp_path / "report.html")[0])
    assert (
        "Pictures that are left out" in text
        and "a: cannot be opened (a/config.yml cannot be read (cannot find 'GoneConfig'" in text
    )


def test_no_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TdaError, match="No run was named. Give run folders, row files, or folders of either."):
        write_report([], tmp_path / "report.html")


def test_a_path_that_leads_to_no_run_is_an_error_and_the_old_page_stays(keep, make_row, tmp_path: Path) -> None:
    keep(make_row("a"))
    output = tmp_path / "report.html"
    output.write_text("old")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.json").write_text("[]")
    (tmp_path / "notes.txt").write_text("mine")
    for paths, message in (
        (["nope"], "nope does not exist. Give run folders, row files, or folders of either."),
        (["rows", "nope"], "nope does not exist."),
        (["empty"], "No run was found: empty is not a finished run"),
        (["notes.json"], "No run was found: notes.json is no row of a run. Give run folders, row files,"),
        (["notes.txt", "empty"], "No run was found: notes.txt cannot be read"),
    ):
        with pytest.raises(TdaError) as refused:
            write_report([tmp_path / path for path in paths], output)
        assert message in str(refused.value)
        assert output.read_text() == "old" and not (tmp_path / "report.md").exists()


@pytest.mark.slow
def test_real_runs_are_shown_with_pictures_by_the_command(command, stage_one, stage_two, tmp_path: Path) -> None:
    result = command("tda", "report", stage_one.folder, stage_two.folder, "--output", tmp_path / "report.html")
    assert result.code == 0, result.text
    assert f"Wrote {tmp_path}/report.html and {tmp_path}/report.md" in result.flat
    page, text = read(tmp_path / "report.html")
    for scenes, title in ((2, "tiny: 2 scenes"), (4, "tiny: 4 scenes")):
        section = next(part for part in page.split("<section>") if f"<h2>{title}" in part)
        # truth and latent; truth, latent and decoding; truth and decoding
        assert section.count("<img ") == 7 * scenes
    assert "What is missing, and why." not in text and "Pictures that are left out" not in text
    assert "No standard run of these scenes could be shown beside." in text
    assert text.count("ns-train tda-scenes --data tiny") == 1
