"""Cells by hand; what is not known is a dash, never a zero."""

from __future__ import annotations

from tda_nerfstudio.studies.report.compare import Group, Pair
from tda_nerfstudio.studies.report.table import Table, pair_table, run_table


def test_a_whole_row_spells_every_column(make_row) -> None:
    table = run_table(Group("", [make_row("a")]))
    assert dict(zip(table.heads, table.lines[0], strict=True)) == {
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
    unknown = {"bytes": {}, "ms_per_view": {}, "minutes_per_scene": None, "space": ""}
    row = make_row("a", metrics={"psnr": 20.0, "ceiling_psnr": 100.0}, problems=["Old."], method="tda-rgb", **unknown)
    assert run_table(Group("", [row])).lines == [["a †", "tda-rgb", "20.00", *["–"] * 8]]


def test_markdown_escapes_names() -> None:
    assert Table(["run", "n"], [["a|b", "1"]], 1).markdown() == "| run | n |\n| --- | ---: |\n| a\\|b | 1 |"


def test_pairs_are_spelt_with_their_standard_error() -> None:
    table = pair_table([Pair("a", "b", 20, 3.126, 0.144, 19)])
    assert dict(zip(table.heads, table.lines[0], strict=True)) == {
        "better run": "a",
        "other run": "b",
        "shared scenes": "20",
        "PSNR gap dB": "+3.13 ± 0.14",
        "better on": "19 of 20",
    }
