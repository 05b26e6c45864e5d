"""Charts as inline SVG; colours come from the page's style sheet, so they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

WIDTH, HEIGHT = 520, 320
LEFT, RIGHT, TOP, BOTTOM = 62, 24, 26, 44
COLOURS = 8


@dataclass(frozen=True)
class Series:
    """A line, or single points where `points`; published ones are dashed."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0
    dashed: bool = False
    points: bool = False


@dataclass(frozen=True)
class Axis:
    """Where values lie along one side of the picture."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """Give a value's position."""
        low, high, value = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (value - low) / ((high - low) or 1) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Give round values inside the range, about five."""
        if self.log:
            steps = (1, 2, 5) if self.high / self.low < 50 else (1,)
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            ticks = [m * 10.0**e for e in decades for m in steps if self.low <= m * 10.0**e <= self.high]
            return ticks[:: max(len(ticks) // 6, 1)]
        raw = (self.high - self.low) / 5 or 1
        power = 10 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw)
        first = math.ceil(self.low / step)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def axis(values: Sequence[float], start: float, end: float, log: bool = False) -> Axis:
    """Fit an axis around values with a little room."""
    low, high = min(values), max(values)
    if log:
        return Axis(low / 1.1, high * 1.1, start, end, True)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1
    return Axis(low - room, high + room, start, end)


def line_chart(
    title: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    marks: Sequence[tuple[float, str]] = (),
) -> str:
    """Draw lines with their legend; `marks` are labelled verticals. Values that a logarithm has not are left out."""
    shown = []
    for line in series:
        points = [(x, y) for x, y in zip(line.x, line.y, strict=True) if (x > 0 or not log_x) and (y > 0 or not log_y)]
        if points:
            shown.append((line, points))
    if not shown:
        return ""
    across = axis([x for _, points in shown for x, _ in points], LEFT, WIDTH - RIGHT, log_x)
    up = axis([y for _, points in shown for _, y in points], HEIGHT - BOTTOM, TOP, log_y)
    parts = [_grid(across, up, x_label, y_label)]
    for i, (x, text) in enumerate(marks):
        at = min(max(across.place(max(x, across.low)), LEFT), WIDTH - RIGHT)
        parts.append(f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text class="note" x="{at + 4:.1f}" y="{TOP + 12 + 14 * (i % 3)}">{escape(text)}</text>')
    for line, points in shown:
        places = [(across.place(x), up.place(y)) for x, y in points]
        colour = f"c{line.colour % COLOURS}"
        if line.points:
            parts += [f'<circle class="{colour}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>' for x, y in places]
        else:
            for piece in _pieces(places):
                path = " ".join(f"{x:.1f},{y:.1f}" for x, y in piece)
                parts.append(f'<polyline class="line {colour}{_shape(line)}" points="{path}"/>')
    return _frame(title, parts, HEIGHT, [line for line, _ in shown])


def dot_chart(title: str, names: Sequence[str], series: Sequence[Series], x_label: str) -> str:
    """Draw a row for each name with a dot for each series; a series' x are its values, its y the rows they are in."""
    values = [x for line in series for x in line.x]
    if not values:
        return ""
    left, step = 190, 22
    height = TOP + step * len(names) + BOTTOM
    across, parts = axis(values, left, WIDTH - RIGHT), []
    for tick in across.ticks():
        at = across.place(tick)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{height - BOTTOM}"/>')
        parts.append(f'<text x="{at:.1f}" y="{height - BOTTOM + 18}" text-anchor="middle">{tick:g}</text>')
    for i, name in enumerate(names):
        y = TOP + step * (i + 0.5)
        here = [across.place(x) for line in series for x, row in zip(line.x, line.y, strict=True) if row == i]
        short = name if len(name) <= 24 else f"{name[:23]}…"
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(short)}</text>')
        if here:
            parts.append(f'<line class="grid" x1="{min(here):.1f}" x2="{max(here):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
    for line in series:
        for x, row in zip(line.x, line.y, strict=True):
            y = TOP + step * (row + 0.5)
            parts.append(f'<circle class="c{line.colour % COLOURS}" cx="{across.place(x):.1f}" cy="{y:.1f}" r="5"/>')
    parts.append(f'<text x="{(left + WIDTH) / 2}" y="{height - 6}" text-anchor="middle">{escape(x_label)}</text>')
    return _frame(title, parts, height, series)


def _pieces(places: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Break a line where it has no points: where neighbours are much farther apart than most."""
    gaps = [b[0] - a[0] for a, b in pairwise(places)]
    usual = sorted(gaps)[len(gaps) // 2] if gaps else 0.0
    pieces = [[places[0]]]
    for gap, place in zip(gaps, places[1:], strict=True):
        if gap > 4 * usual:
            pieces.append([])
        pieces[-1].append(place)
    return pieces


def _grid(across: Axis, up: Axis, x_label: str, y_label: str) -> str:
    parts = []
    for tick in across.ticks():
        at = across.place(tick)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:g}</text>')
    for tick in up.ticks():
        at = up.place(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{tick:g}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>')
    parts.append(f'<text x="4" y="{TOP - 10}">{escape(y_label)}</text>')
    return "".join(parts)


def _shape(line: Series) -> str:
    return " dot" if line.points else " dashed" if line.dashed else ""


def _frame(title: str, parts: Sequence[str], height: float, series: Sequence[Series]) -> str:
    keys = "".join(
        f'<span><i class="c{line.colour % COLOURS}{_shape(line)}"></i>{escape(line.label)}</span>'
        for line in series
        if line.label
    )
    return (
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
        f'<div class="legend">{keys}</div></figure>'
    )
