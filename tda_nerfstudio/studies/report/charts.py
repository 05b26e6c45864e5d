"""Draw charts as inline SVG with matplotlib, in the page's own colours, which follow its light or dark look."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT, ROW = 5.2, 3.2, 0.22
"""Width and height of a chart, and height of a row of dots. In inches of 72 units."""
COLOURS = ("#0969da", "#bc4c00", "#1a7f37", "#8250df", "#bf3989", "#9a6700", "#0a7d91", "#6e7781")
TEXT, RULE = "#59636e", "#d1d9e0"
"""Colours of the light look. The page's style sheet has those of the dark look."""
VARIABLES = {colour: f"var(--c{i})" for i, colour in enumerate(COLOURS)} | {TEXT: "var(--dim)", RULE: "var(--rule)"}
LOOK: Any = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), TEXT),
    **dict.fromkeys(("axes.edgecolor", "grid.color"), RULE),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "text.parse_math"), False),
    **dict.fromkeys(("font.size", "axes.titlesize"), 9),
    **dict.fromkeys(("xtick.major.size", "ytick.major.size"), 0),
    "axes.grid": True,
    "lines.markersize": 5,
    "svg.fonttype": "none",
}
"""What differs from matplotlib's own style. Text is kept as text, not drawn as outlines."""
LONGEST_NAME = 24


@dataclass(frozen=True)
class Series:
    """A line, or single points if `points`. Lines of published numbers are dashed."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0
    dashed: bool = False
    points: bool = False


@dataclass(frozen=True)
class Chart:
    """A drawn chart, and the series that its legend names."""

    title: str
    svg: Markup
    legend: list[Series]


def line_chart(
    title: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    marks: Sequence[tuple[float, str]] = (),
) -> Chart | None:
    """Draw lines, and a labelled vertical line for each of `marks`.

    A logarithmic axis leaves out values that are not positive. Returns None if nothing is left.
    """
    shown = []
    for line in series:
        points = [(x, y) for x, y in zip(line.x, line.y, strict=True) if (x > 0 or not log_x) and (y > 0 or not log_y)]
        if points:
            shown.append((line, points))
    if not shown:
        return None

    def draw(axes: Axes) -> None:
        for line, points in shown:
            whole = points if line.points else _broken(points, log_x)
            style = "o" if line.points else "--" if line.dashed else "-"
            axes.plot(*zip(*whole, strict=True), style, color=COLOURS[line.colour % len(COLOURS)])
        for i, (x, text) in enumerate(marks):
            at = max(x, axes.get_xlim()[0])
            axes.axvline(at, color=TEXT, ls=":", lw=0.8)
            place = (at, 0.97 - 0.06 * (i % 3))
            axes.annotate(text, place, (3, 0), axes.get_xaxis_transform(), "offset points", va="top")
        axes.set_xlabel(x_label)
        axes.set_title(y_label, loc="left")
        for letter in "x" * log_x + "y" * log_y:
            axes.set(**{f"{letter}scale": "log"})
            _place_round_ticks(getattr(axes, f"{letter}axis"))

    return _chart(title, HEIGHT, [line for line, _ in shown], draw)


def dot_chart(title: str, names: Sequence[str], series: Sequence[Series], x_label: str) -> Chart | None:
    """Draw a row for each name, with a dot for each series. A series' x are its values, its y are their rows."""
    rows: dict[float, list[float]] = {}
    for line in series:
        for x, row in zip(line.x, line.y, strict=True):
            rows.setdefault(row, []).append(x)
    if not rows:
        return None

    def draw(axes: Axes) -> None:
        axes.hlines(list(rows), [min(x) for x in rows.values()], [max(x) for x in rows.values()], color=RULE, lw=1)
        for line in series:
            axes.plot(line.x, line.y, "o", color=COLOURS[line.colour % len(COLOURS)])
        short = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name in names]
        axes.set_yticks(range(len(names)), short)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(x_label)

    return _chart(title, ROW * len(names) + 0.8, series, draw)


def _chart(title: str, height: float, series: Sequence[Series], draw: Callable[[Axes], None]) -> Chart:
    """Draw a chart. The same drawing always gives the same SVG text."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    file = io.StringIO()
    with rc_context(LOOK | {"svg.hashsalt": title}):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure.subplots())
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return Chart(title, _inline(file.getvalue(), title), [line for line in series if line.label])


def _inline(svg: str, title: str) -> Markup:
    """Turn an SVG file into a part of a page: only what is drawn, in the page's font and colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"(?s)<(metadata|style|clipPath).*?</\1>|<!--.*?-->", "", svg)
    svg = re.sub(r' (xmlns(:xlink)?|version|clip-path|width|height)="[^"]*"', "", svg)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)  # what releases before 3.10 write
    svg = re.sub(r" font-family: [^;\"]*;?", "", svg)
    svg = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d)\d+", r"\1", path[0]), svg)  # a tenth of a point is enough
    used = set(re.findall(r'href="#([^"]*)"', svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    return Markup(svg.replace("<svg", Markup('<svg role="img" aria-label="{}"').format(title), 1))


def _place_round_ticks(axis: Any) -> None:
    """Label a logarithmic axis with plain numbers, and with more of them if its range is small."""
    from matplotlib.ticker import LogLocator, NullLocator

    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 50 else (1,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def _broken(points: Sequence[tuple[float, float]], log: bool) -> list[tuple[float, float]]:
    """Break a line where points are missing: where neighbours are much farther apart on the page than most."""
    gaps = [math.log(b / a) if log else b - a for (a, _), (b, _) in pairwise(points)]
    usual = sorted(gaps)[len(gaps) // 2] if gaps else 0.0
    whole = [points[0]]
    for gap, point in zip(gaps, points[1:], strict=True):
        whole += [(point[0], math.nan), point] if gap > 4 * usual else [point]
    return whole
