"""What is plotted of runs."""

from __future__ import annotations

from tda_nerfstudio.studies.report import plots
from tda_nerfstudio.studies.report.charts import Series
from tda_nerfstudio.studies.report.compare import Group


def test_runs_of_a_kind_are_joined_in_the_order_of_their_time(make_row, monkeypatch) -> None:
    times = {"slow": (4.0, 26.0), "fast": (1.0, 24.0), "usual": (2.0, 25.0), "untimed": (None, 30.0)}
    rows = [make_row(name, {"bus": psnr}, minutes_per_scene=minutes) for name, (minutes, psnr) in times.items()]
    rows.append(make_row("rgb", {"bus": 22.0}, minutes_per_scene=3.0, method="tda-rgb", space=""))
    drawn: list[list[Series]] = []
    monkeypatch.setattr(plots, "line_chart", lambda title, series, *labels, log_x: drawn.append(series))
    plots.over_time(Group("", rows))
    ((single, line, points),) = drawn
    assert (line.label, line.x, line.y) == ("tda-scenes · 3d-aware", (1.0, 2.0, 4.0), (24.0, 25.0, 26.0))
    assert points.points and (points.label, points.x, points.colour) == ("", line.x, line.colour)
    assert single.points and (single.label, single.x, single.y) == ("tda-rgb", (3.0,), (22.0,))


def test_a_chart_names_a_kind_once(make_row) -> None:
    rows = [make_row(name, minutes_per_scene=minutes) for name, minutes in (("a", 1.0), ("b", 2.0))]
    chart = plots.over_time(Group("", rows))
    assert chart is not None and [series.label for series in chart.legend] == ["tda-scenes · 3d-aware"]


def test_without_times_there_is_no_chart(make_row) -> None:
    assert plots.over_time(Group("", [make_row(minutes_per_scene=None)])) is None


def test_runs_that_weigh_the_same_are_one_line(make_row) -> None:
    heavy = dict.fromkeys(("m_mic", "m_w", "m_B", "m_MLP", "m_AE", "m_decoder"), 2**20)
    rows = [make_row("a"), make_row("b"), make_row("c", bytes=heavy), make_row("d", bytes={}, minutes_per_scene=None)]
    memory, minutes = plots.cost_charts(rows, {name: i for i, name in enumerate("abcd")})
    published = ["3Da-AE, published", "RGB Tri-Plane, published"]
    assert [series.label for series in memory.legend] == ["a", "c", *published]
    assert [series.label for series in minutes.legend][:4] == ["a", "b", "c", "RGB Tri-Plane, published"]
    assert minutes.legend[-1].label == "3Da-AE (9.0) and Fused-Planes (9.0), published"
