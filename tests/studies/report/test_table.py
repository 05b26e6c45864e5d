"""Cells by hand; what is not known is a dash, never a zero."""

from __future__ import annotations

from tda_nerfstudio.studies.report.compare import Group, Pair
from tda_nerfstudio.studies.report.table import PAIR_COLUMNS, as_html, as_markdown, columns, lines, pair_lines


def test_a_whole_row_spells_every_column(make_row) -> None:
    (line,) = lines(Group("", [make_row("a")]))
    assert dict(zip(columns(), line, strict=True)) == {
        "run": "a",
        "method": "tda-scenes, 3d-aware",
        "PSNR dB": "21.00",
        "SSIM": "0.800",
        "sharpness": "0.50",
        "LPIPS": "–",
        "ceiling dB": "26.50",
        "min / scene": "2.00",
        "MiB / scene": "1.000",
        "MiB, N = 1000": "2.000",
        "ms / view": "14.0",
    }


def test_what_is_not_known_is_a_dash_and_noted_runs_bear_a_dagger(make_row) -> None:
    row = make_row("a", metrics={"psnr": 20.0, "ceiling_psnr": 100.0}, bytes={}, ms_per_view={}, problems=["Old."])
    (line,) = lines(Group("", [row | {"minutes_per_scene": None, "method": "tda-rgb", "space": ""}]))
    assert line == ["a †", "tda-rgb", "20.00", *["–"] * 8]


def test_tables_in_html_and_markdown_escape_names() -> None:
    assert as_html(["run", "n"], [["<b>", "1"]], 1) == (
        '<div class="wide"><table><thead><tr><th>run</th><th class=n>n</th></tr></thead>'
        "<tbody><tr><td>&lt;b&gt;</td><td class=n>1</td></tr></tbody></table></div>"
    )
    assert as_markdown(["run", "n"], [["a|b", "1"]], 1) == "| run | n |\n| --- | ---: |\n| a\\|b | 1 |"


def test_pairs_are_spelt_with_their_standard_error() -> None:
    (line,) = pair_lines([Pair("a", "b", 20, 3.126, 0.144, 19)])
    assert dict(zip(PAIR_COLUMNS, line, strict=True)) == {
        "better run": "a",
        "other run": "b",
        "shared scenes": "20",
        "PSNR gap dB": "+3.13 ± 0.14",
        "better on": "19 of 20",
    }
