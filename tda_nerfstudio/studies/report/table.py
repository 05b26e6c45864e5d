"""The tables of a report, as text: runs side by side, and paired differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tda_nerfstudio.core.metrics import METRICS
from tda_nerfstudio.studies.report.compare import Group, Pair
from tda_nerfstudio.studies.report.costs import MIB, PUBLISHED_N, memory
from tda_nerfstudio.studies.rows import RunRow

ABSENT = "–"


@dataclass(frozen=True)
class Table:
    """Cells of text. The first `words` columns hold words, the others hold numbers."""

    heads: list[str]
    lines: list[list[str]]
    words: int = 2

    def markdown(self) -> str:
        """Write the table in Markdown."""
        rule = ["---" if i < self.words else "---:" for i in range(len(self.heads))]
        lines = [[cell.replace("|", "\\|") for cell in line] for line in (self.heads, rule, *self.lines)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def columns() -> dict[str, Callable[[RunRow], str]]:
    """Map the heading of each column to the function that writes a run's cell."""
    metrics = {
        metric.heading: lambda row, metric=metric: _number(row.metrics.get(metric.key), metric.decimals)
        for metric in METRICS.values()
    }
    return {
        "run": lambda row: row.label + (" †" if row.problems else ""),
        "method": lambda row: ", ".join(filter(None, [row.method, row.space])),
        **metrics,
        "ceiling dB": _ceiling,
        "min / scene": lambda row: _number(row.minutes_per_scene, 2),
        "MiB / scene": lambda row: _number(row.bytes and (row.bytes["m_mic"] + row.bytes["m_w"]) / MIB, 3),
        f"MiB, N = {PUBLISHED_N}": lambda row: _number(row.bytes and memory(row.bytes, PUBLISHED_N) / MIB, 3),
        "ms / view": lambda row: _number(row.ms_per_view and sum(row.ms_per_view.values()), 1),
    }


def _number(value: Any, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) else ABSENT


def _ceiling(row: RunRow) -> str:
    value = row.metrics.get("ceiling_psnr")
    exact = isinstance(value, float) and value > 99  # no autoencoder, no ceiling
    return ABSENT if exact else _number(value, 2)


def legend() -> str:
    """Explain the columns."""
    about = " ".join(metric.about for metric in METRICS.values() if metric.about)
    return (
        f"Means over held-out views of decoded images. {about} Ceiling: PSNR of the autoencoder alone. Minutes: this"
        " run's training steps over its scenes, stage 1 not included (see t(N)). MiB / scene: what a further scene"
        f" adds; MiB, N = {PUBLISHED_N}: m(N), with its share of base planes, MLP and autoencoder. {ABSENT} not known"
        " or not there; † see Notes."
    )


def run_table(group: Group) -> Table:
    """Make the table of a group's runs. A dagger marks those with notes."""
    return Table(list(columns()), [[spell(row) for spell in columns().values()] for row in group.rows])


def pair_table(pairs: Sequence[Pair]) -> Table:
    """Make the table of paired differences."""
    lines = [
        [p.better, p.other, str(p.scenes), f"{p.mean:+.2f} ± {p.error:.2f}", f"{p.wins} of {p.scenes}"] for p in pairs
    ]
    return Table(["better run", "other run", "shared scenes", "PSNR gap dB", "better on"], lines)
