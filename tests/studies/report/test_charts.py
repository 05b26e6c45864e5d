"""Charts are whole SVG: values in their order, names escaped, what cannot be drawn left out."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tda_nerfstudio.studies.report.charts import Chart, Series, dot_chart, line_chart


def drawn(chart: Chart | None) -> ElementTree.Element:
    """Parse a chart; only what is inside its own SVG may be referred to."""
    assert chart is not None
    assert not re.search(r"https?:|url\(|xmlns|<style| id=(?!\"m)", chart.svg)
    return ElementTree.fromstring(str(chart.svg).replace("<svg", '<svg xmlns:xlink="x"', 1))


def lines(chart: Chart | None, colour: int = 0) -> list[list[tuple[float, float]]]:
    """Find the pieces of the lines of a colour, as places on the page."""
    style = f"stroke: var(--c{colour})"
    paths = [path.get("d", "") for path in drawn(chart).iter("path") if style in path.get("style", "")]
    pieces = [piece for path in paths for piece in path.split("M ")[1:] if "L" in piece]
    return [[tuple(map(float, place.split())) for place in re.split(" ?\n?L ", piece)] for piece in pieces]


def dots(chart: Chart | None, colour: int = 0) -> list[tuple[float, float]]:
    """Find the points of a colour."""
    uses = [use for use in drawn(chart).iter("use") if f"fill: var(--c{colour})" in use.get("style", "")]
    return [(float(use.get("x", "")), float(use.get("y", ""))) for use in uses]


def texts(chart: Chart | None) -> list[str]:
    return ["".join(text.itertext()) for text in drawn(chart).iter("text")]


def test_a_line_chart_is_well_formed_and_its_values_are_in_place() -> None:
    chart = line_chart("<T>", [Series("a & b", [0, 1, 2], [1.0, 2.0, 3.0])], "x", "y $_$", marks=[(1, "<joint>")])
    assert chart is not None and chart.title == "<T>" and [line.label for line in chart.legend] == ["a & b"]
    assert drawn(chart).get("aria-label") == "<T>"
    assert {"x", "y $_$", "<joint>", "1.00", "3.00"} <= set(texts(chart))
    (((x0, y0), (x1, y1), (x2, y2)),) = lines(chart)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11) and x1 > x0
    assert y1 - y0 == pytest.approx(y2 - y1, abs=0.11) and y1 < y0  # more is higher


def test_the_same_chart_is_the_same_text() -> None:
    series = [Series("a", [1, 10], [1.0, 2.0], points=True)]
    assert line_chart("t", series, "x", "y", log_x=True) == line_chart("t", series, "x", "y", log_x=True)


def test_lines_break_where_points_are_missing() -> None:
    assert len(lines(line_chart("t", [Series("ae", [0, 1, 2, 3, 50, 51, 52], [1.0] * 7)], "x", "y"))) == 2
    doubled = Series("ae", [2.0**i for i in range(9)], [1.0] * 9)
    assert len(lines(line_chart("t", [doubled], "x", "y", log_x=True))) == 1


def test_a_logarithm_leaves_zeros_out_and_nothing_draws_nothing() -> None:
    chart = line_chart("t", [Series("a", [0, 1, 10], [1.0, 0.0, 2.0], points=True)], "x", "y", log_x=True, log_y=True)
    assert len(dots(chart)) == 1
    assert line_chart("t", [Series("a", [1], [0.0])], "x", "y", log_y=True) is None
    assert line_chart("t", [], "x", "y") is None and dot_chart("t", [], [], "x") is None


def test_logarithmic_axes_bear_plain_numbers() -> None:
    wide = line_chart("t", [Series("a", [1, 10_000], [1.0, 2.0])], "x", "y", log_x=True)
    assert {"1", "10", "100", "1000", "10000"} <= set(texts(wide))
    narrow = line_chart("t", [Series("a", [0.9, 6], [1.0, 2.0])], "x", "y", log_x=True)
    assert {"1", "2", "5"} <= set(texts(narrow)) and "10" not in texts(narrow)


def test_dots_lie_in_the_row_of_their_name_and_long_names_are_cut() -> None:
    names = ["bus", "a_very_long_name_of_a_vehicle"]
    series = [Series("one", [20.0, 22.0], [0, 1], 0, points=True), Series("two", [21.0], [1], 1, points=True)]
    chart = dot_chart("PSNR", names, series, "dB")
    (left, upper), (right, lower) = dots(chart)
    ((between, same),) = dots(chart, 1)
    assert left < between < right and upper < lower == same
    assert {"bus", "a_very_long_name_of_a_v…", "dB"} <= set(texts(chart))
    assert chart is not None and chart.legend == series
