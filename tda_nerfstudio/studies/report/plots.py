"""The charts of a report: PSNR of every scene, PSNR over training time, memory and time over N, and losses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tda_nerfstudio.studies.report import costs
from tda_nerfstudio.studies.report.charts import Chart, Series, dot_chart, line_chart
from tda_nerfstudio.studies.report.compare import Group
from tda_nerfstudio.studies.report.figures import scenes_worst_first
from tda_nerfstudio.studies.rows import RunRow

QUALITY = "PSNR dB, held-out views"


def per_scene(group: Group, colours: dict[str, int]) -> Chart | None:
    """Plot the PSNR of each scene, with one dot for each run."""
    names, series = scenes_worst_first(group), []
    for row in group.rows:
        known = dict(zip(row.scenes.get("name", ()), row.scenes.get("psnr", ()), strict=False))
        places = [i for i, name in enumerate(names) if name in known]
        values = [known[names[i]] for i in places]
        series.append(Series(row.label, values, places, colours[row.label], points=True))
    return dot_chart("PSNR of every scene, worst first", names, series, QUALITY)


def over_time(group: Group) -> Chart | None:
    """Plot PSNR over minutes of training per scene. A line joins the runs of one method in one space."""
    kinds: dict[str, list[tuple[float, float]]] = {}
    for row in group.rows:
        if row.minutes_per_scene:
            kind = " · ".join(filter(None, [row.method, row.space]))
            kinds.setdefault(kind, []).append((row.minutes_per_scene, row.psnr))
    series = []
    for colour, (kind, points) in enumerate(sorted(kinds.items())):
        minutes, psnr = zip(*sorted(points), strict=True)
        if len(points) > 1:
            series.append(Series(kind, minutes, psnr, colour))
        series.append(Series("" if len(points) > 1 else kind, minutes, psnr, colour, points=True))
    title, what = "PSNR over time, a point a run", "minutes a scene, of this run alone"
    return line_chart(title, series, what, QUALITY, log_x=True)


def cost_charts(rows: Sequence[RunRow], colours: dict[str, int]) -> list[Chart]:
    """Plot memory and training time per scene over N, as measured and as published."""
    scenes, published, rgb = _numbers_of_scenes(1), len(rows), len(rows) + 1
    weighed = [_memory(row.label, row.bytes, scenes, colours[row.label]) for row in _different_bytes(rows)]
    if weighed:
        weighed.append(_memory("3Da-AE, published", costs.PUBLISHED_PARTS, scenes, published, dashed=True))
        weighed.append(_constant(costs.PUBLISHED_RGB_BYTES / costs.MIB, scenes, rgb))
    timed = []
    for row in rows:
        if (minutes := costs.minutes(row)) is not None:
            n = _numbers_of_scenes(row.stage_one.get("scenes") or 1)
            timed.append(Series(row.label, n, [minutes(one) for one in n], colours[row.label]))
    if timed:
        timed.append(_constant(costs.PUBLISHED_RGB_MINUTES, scenes, rgb))
        values = list(costs.PUBLISHED_MINUTES.values())
        names = " and ".join(f"{name} ({value:.1f})" for name, value in costs.PUBLISHED_MINUTES.items())
        at = [costs.PUBLISHED_N] * len(values)
        timed.append(Series(f"{names}, published", at, values, published, points=True))
    charts = [
        line_chart("Memory a scene, m(N)", weighed, "N, scenes", "MiB", log_x=True, log_y=True),
        line_chart("Training time a scene, t(N)", timed, "N, scenes", "minutes", log_x=True, log_y=True),
    ]
    return [chart for chart in charts if chart]


def _numbers_of_scenes(first: int) -> list[float]:
    return np.geomspace(first, 10_000, 60).tolist()


def _memory(label: str, parts: dict[str, int], scenes: Sequence[float], colour: int, dashed: bool = False) -> Series:
    return Series(label, scenes, [costs.memory(parts, n) / costs.MIB for n in scenes], colour, dashed)


def _constant(value: float, scenes: Sequence[float], colour: int) -> Series:
    return Series("RGB Tri-Plane, published", scenes, [value] * len(scenes), colour, dashed=True)


def _different_bytes(rows: Sequence[RunRow]) -> list[RunRow]:
    """Keep one of the runs whose parts have the same bytes."""
    seen: dict[tuple, RunRow] = {}
    for row in filter(lambda row: row.bytes, rows):
        seen.setdefault(tuple(sorted(row.bytes.items())), row)
    return list(seen.values())


def loss_charts(rows: Sequence[RunRow]) -> list[Chart]:
    """Plot the losses of every run, and mark where its phases begin."""
    charts = []
    for row in rows:
        series = [
            Series(name, steps, values, colour)
            for colour, (name, (steps, values)) in enumerate(sorted(row.curves.items()))
        ]
        first = min((steps[0] for steps, _ in row.curves.values() if steps), default=0)
        marks = [(phase["start"], phase["name"]) for phase in row.phases if phase["end"] > first]
        charts.append(line_chart(f"Losses of {row.label}", series, "step", "weighted loss", log_y=True, marks=marks))
    return [chart for chart in charts if chart]
