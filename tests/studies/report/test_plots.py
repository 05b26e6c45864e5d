"""What is plotted of runs."""

from __future__ import annotations

import re

from tda_nerfstudio.studies.report.compare import Group
from tda_nerfstudio.studies.report.plots import over_time


def test_runs_of_a_kind_are_joined_in_the_order_of_their_time(make_row) -> None:
    times = {"slow": (4.0, 26.0), "fast": (1.0, 24.0), "usual": (2.0, 25.0), "untimed": (None, 30.0)}
    rows = [make_row(name, {"bus": psnr}, minutes_per_scene=minutes) for name, (minutes, psnr) in times.items()]
    rows.append(make_row("rgb", {"bus": 22.0}, minutes_per_scene=3.0, method="tda-rgb", space=""))
    chart = over_time(Group("", rows))
    (line,) = re.findall(r'polyline class="[^"]*" points="([^"]*)"', chart)
    places = [tuple(map(float, point.split(","))) for point in line.split()]
    assert len(places) == 3 and sorted(places) == places  # later is further right ...
    assert sorted((y for _, y in places), reverse=True) == [y for _, y in places]  # ... and better, so higher
    assert chart.count("<circle") == 4 and chart.count("<span>") == 2 and "tda-rgb" in chart


def test_without_times_there_is_no_chart(make_row) -> None:
    assert over_time(Group("", [make_row(minutes_per_scene=None)])) == ""
