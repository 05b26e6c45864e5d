"""What is plotted: PSNR by scene and over training time, memory and time over N, losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tda_nerfstudio.studies.report import costs
from tda_nerfstudio.studies.report.charts import Series, dot_chart, line_chart
from tda_nerfstudio.studies.report.compare import Group
from tda_nerfstudio.studies.report.figures import scenes_worst_first

Row = dict[str, Any]


def per_scene(one: Group, colours: dict[str, int]) -> str:
    """Plot PSNR of each scene, a dot a run, and the runs' means over the time that they took."""
    names = scenes_worst_first(one)
    series = []
    for row in one.rows:
        known = dict(zip(row["scenes"].get("name", ()), row["scenes"].get("psnr", ()), strict=False))
        places = [i for i, name in enumerate(names) if name in known]
        values = [known[names[i]] for i in places]
        series.append(Series(row["label"], values, places, colours[row["label"]], points=True))
    chart = dot_chart("PSNR of every scene, worst first", names, series, "PSNR dB, held-out views")
    return f'<div class="charts">{chart}{over_time(one)}</div>'


def over_time(one: Group) -> str:
    """Plot PSNR over minutes of training a scene; runs of a method in the same space are joined."""
    kinds: dict[str, list[tuple[float, float]]] = {}
    for row in one.rows:
        if row["minutes_per_scene"]:
            kind = " · ".join(filter(None, [row["method"], row["space"]]))
            kinds.setdefault(kind, []).append((row["minutes_per_scene"], row["metrics"]["psnr"]))
    series = []
    for colour, (kind, points) in enumerate(sorted(kinds.items())):
        minutes, psnr = zip(*sorted(points), strict=True)
        if len(points) > 1:
            series.append(Series(kind, minutes, psnr, colour))
        series.append(Series("" if len(points) > 1 else kind, minutes, psnr, colour, points=True))
    title, what = "PSNR over time, a point a run", "minutes a scene, of this run alone"
    return line_chart(title, series, what, "PSNR dB, held-out views", log_x=True)


def cost_curves(rows: Sequence[Row], colours: dict[str, int]) -> str:
    """Plot memory and time a scene over N, measured and published."""
    scenes = costs.spread(1, 10_000)
    series = [
        Series(r["label"], scenes, [costs.memory(r["bytes"], n) / costs.MIB for n in scenes], colours[r["label"]])
        for r in _different_bytes(rows)
    ]
    published = [costs.memory(costs.PUBLISHED_PARTS, n) / costs.MIB for n in scenes]
    rgb = costs.PUBLISHED_RGB_BYTES / costs.MIB
    if series:
        series.append(Series("3Da-AE, published", scenes, published, len(rows), dashed=True))
        series.append(Series("RGB Tri-Plane, published", scenes, [rgb] * len(scenes), len(rows) + 1, dashed=True))
    memory = line_chart("Memory a scene, m(N)", series, "N, scenes", "MiB", log_x=True, log_y=True)
    timed = []
    for row in rows:
        if (minutes := costs.minutes(row)) is not None:
            n = costs.spread(row["stage_one"].get("scenes") or 1, 10_000)
            timed.append(Series(row["label"], n, [minutes(one) for one in n], colours[row["label"]]))
    if timed:
        line = [costs.PUBLISHED_RGB_MINUTES] * len(scenes)
        timed.append(Series("RGB Tri-Plane, published", scenes, line, len(rows) + 1, dashed=True))
        values = list(costs.PUBLISHED_MINUTES.values())
        names = " and ".join(f"{name} ({value:.1f})" for name, value in costs.PUBLISHED_MINUTES.items())
        at = [costs.PUBLISHED_N] * len(values)
        timed.append(Series(f"{names}, published", at, values, len(rows), points=True))
    minutes_chart = line_chart("Training time a scene, t(N)", timed, "N, scenes", "minutes", log_x=True, log_y=True)
    if not memory and not minutes_chart:
        return ""
    return (
        "<section><h2>What N scenes cost each</h2>"
        '<p class="note">m(N) = m_mic + m_w + (m_B + m_AE + m_MLP) / N and t(N) = (t_stage1(N1) + (N - N1) t_stage2)'
        " / N, with each run's measured parts, in the precision it was trained in; published: 3Da-AE in float32 with an"
        " autoencoder of 334.6 MB. Published minutes are of other hardware and data: read shapes, not heights. A run"
        " without all its minutes has no t(N).</p>"
        f'<div class="charts">{memory}{minutes_chart}</div></section>'
    )


def _different_bytes(rows: Sequence[Row]) -> list[Row]:
    """Keep one run of those that weigh the same."""
    seen: dict[tuple, Row] = {}
    for row in rows:
        if row["bytes"]:
            seen.setdefault(tuple(sorted(row["bytes"].items())), row)
    return list(seen.values())


def loss_curves(rows: Sequence[Row]) -> str:
    """Plot every loss of every run, with its phases marked."""
    charts = []
    for row in rows:
        series = [
            Series(name, steps, values, colour)
            for colour, (name, (steps, values)) in enumerate(sorted(row["curves"].items()))
        ]
        first = min((steps[0] for steps, _ in row["curves"].values() if steps), default=0)
        marks = [(phase["start"], phase["name"]) for phase in row["phases"] if phase["end"] > first]
        charts.append(line_chart(f"Losses of {row['label']}", series, "step", "weighted loss", log_y=True, marks=marks))
    if not any(charts):
        return ""
    about = "Losses times their weights, averaged to 200 points; dotted lines are where phases begin."
    content = "".join(charts)
    return f'<section><h2>Losses</h2><p class="note">{about}</p><div class="charts">{content}</div></section>'
