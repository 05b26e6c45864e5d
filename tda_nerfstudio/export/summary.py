"""A table of what was exported."""

from __future__ import annotations

from statistics import mean

from rich.markup import escape
from rich.table import Table

from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.export.job import Exported

MOST = 40
"""Scenes that are listed; of more, only the means are shown."""


def table(done: Exported) -> None:
    """Print figures of each scene, and their means."""
    headings = list(dict.fromkeys(heading for figures in done.figures.values() for heading in figures))
    shown = Table(*(escape(heading) for heading in ("scene", *headings)), padding=(0, 0))
    shown.columns[0].overflow, shown.columns[0].min_width = "fold", 10
    for column in shown.columns[1:]:
        column.justify = "right"
    if len(done.figures) <= MOST:
        for name, figures in done.figures.items():
            shown.add_row(escape(name), *(_number(figures.get(heading)) for heading in headings))
    if len(done.figures) > 1:
        known = {h: [f[h] for f in done.figures.values() if h in f] for h in headings}
        shown.add_section()
        shown.add_row(f"mean of {len(done.figures):,}", *(_number(mean(known[heading])) for heading in headings))
    CONSOLE.print(shown)


def _number(value: float | None) -> str:
    """Write whole numbers as such, others with two decimals."""
    if value is None:
        return ""
    return f"{value:,.0f}" if float(value).is_integer() or value >= 1000 else f"{value:.2f}"
