"""Charts are whole SVG: places by hand, names escaped, what cannot be drawn left out."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tda_nerfstudio.studies.report.charts import BOTTOM, HEIGHT, LEFT, TOP, Axis, Series, axis, dot_chart, line_chart


def test_axes_place_values_and_round_ticks() -> None:
    linear = Axis(0, 10, 100, 200)
    assert linear.place(5) == 150 and linear.ticks() == [0, 2, 4, 6, 8, 10]
    upward = Axis(1, 100, 300, 100, log=True)
    assert upward.place(10) == 200
    assert Axis(1, 1e4, 0, 1, log=True).ticks() == [1, 10, 100, 1000, 10_000]
    assert Axis(0.9, 6, 0, 1, log=True).ticks() == [1, 2, 5]
    flat = axis([3.0, 3.0], 0, 100)
    assert flat.low < 3 < flat.high and flat.place(3.0) == pytest.approx(50)


def test_a_line_chart_is_well_formed_and_starts_where_its_data_do() -> None:
    svg = line_chart("<T>", [Series("a & b", [0, 1, 2], [1.0, 2.0, 3.0])], "x", "y", marks=[(1, "joint")])
    tree = ElementTree.fromstring(svg)
    assert tree.findtext("figcaption") == "<T>" and "a & b" in "".join(tree.itertext())
    assert [mark.text for mark in tree.iter("text") if mark.get("class") == "note"] == ["joint"]
    (line,) = tree.iter("polyline")
    places = [tuple(map(float, pair.split(","))) for pair in line.get("points", "").split()]
    assert places[0][0] > LEFT and places[0][1] < HEIGHT - BOTTOM and places[2][1] > TOP
    assert places[1][0] - places[0][0] == pytest.approx(places[2][0] - places[1][0], abs=0.11)


def test_lines_break_where_points_are_missing() -> None:
    svg = line_chart("t", [Series("ae", [0, 1, 2, 3, 50, 51, 52], [1.0] * 7)], "x", "y")
    assert svg.count("<polyline") == 2


def test_a_logarithm_leaves_zeros_out_and_nothing_draws_nothing() -> None:
    svg = line_chart("t", [Series("a", [0, 1, 10], [1.0, 0.0, 2.0], points=True)], "x", "y", log_x=True, log_y=True)
    assert svg.count("<circle") == 1
    assert line_chart("t", [Series("a", [1], [0.0])], "x", "y", log_y=True) == ""
    assert line_chart("t", [], "x", "y") == dot_chart("t", [], [], "x") == ""


def test_dots_lie_in_the_row_of_their_name_and_long_names_are_cut() -> None:
    names = ["bus", "a_very_long_name_of_a_vehicle"]
    series = [Series("one", [20.0, 22.0], [0, 1], 0, points=True), Series("two", [21.0], [1], 1, points=True)]
    svg = dot_chart("PSNR", names, series, "dB")
    ElementTree.fromstring(svg)
    rows = [float(y) for y in re.findall(r'<circle[^>]*cy="([\d.]+)"', svg)]
    assert rows[0] < rows[1] == rows[2]
    assert ">bus</text>" in svg and ">a_very_long_name_of_a_v…</text>" in svg
    assert svg.count('class="c1 dot"') == 1
