"""The columns that runs are compared in, as text; as HTML and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from tda_nerfstudio.core.metrics import METRICS
from tda_nerfstudio.studies.report.compare import Group, Pair
from tda_nerfstudio.studies.report.costs import MIB, PUBLISHED_N, memory

Row = dict[str, Any]
ABSENT = "–"
WORDS = 2
"""First columns, which hold words; numbers follow."""


def _metric(name: str, digits: int) -> Callable[[Row], str]:
    return lambda row: _number(row["metrics"].get(name), digits)


def _number(value: float | None, digits: int) -> str:
    return ABSENT if not isinstance(value, int | float) else f"{value:.{digits}f}"


def _ceiling(row: Row) -> str:
    value = row["metrics"].get("ceiling_psnr")
    return ABSENT if value is not None and value > 99 else _number(value, 2)  # no autoencoder, no ceiling


def _own_bytes(row: Row) -> str:
    parts = row["bytes"]
    return _number((parts["m_mic"] + parts["m_w"]) / MIB, 3) if parts else ABSENT


def _shared_bytes(row: Row) -> str:
    return _number(memory(row["bytes"], PUBLISHED_N) / MIB, 3) if row["bytes"] else ABSENT


def _milliseconds(row: Row) -> str:
    parts = row["ms_per_view"]
    return _number(sum(parts.values()), 1) if parts else ABSENT


def columns() -> dict[str, Callable[[Row], str]]:
    """Name every column, with how a run's cell is spelt."""
    return {
        "run": lambda row: row["label"],
        "method": lambda row: ", ".join(filter(None, [row["method"], row["space"]])),
        **{metric.heading: _metric(metric.key, metric.decimals) for metric in METRICS.values()},
        "ceiling dB": _ceiling,
        "min / scene": lambda row: _number(row["minutes_per_scene"], 2),
        "MiB / scene": _own_bytes,
        f"MiB, N = {PUBLISHED_N}": _shared_bytes,
        "ms / view": _milliseconds,
    }


def legend() -> str:
    """Say what the columns are."""
    sentences = [
        "Means over held-out views of decoded images.",
        *(metric.about for metric in METRICS.values() if metric.about),
        "Ceiling: PSNR of the autoencoder alone. Minutes: this run's training steps over its scenes, stage 1 not"
        f" included (see t(N)). MiB / scene: what a further scene adds; MiB, N = {PUBLISHED_N}: m(N), with its share of"
        f" base planes, MLP and autoencoder. {ABSENT} not known or not there; † see Notes.",
    ]
    return " ".join(sentences)


PAIR_COLUMNS = ("better run", "other run", "shared scenes", "PSNR gap dB", "better on")


def lines(group: Group) -> list[list[str]]:
    """Spell a group's runs, best PSNR first; a dagger marks those with notes."""
    return [
        [spell(row) + (" †" if i == 0 and row["problems"] else "") for i, spell in enumerate(columns().values())]
        for row in group.rows
    ]


def pair_lines(pairs: Sequence[Pair]) -> list[list[str]]:
    """Spell paired differences."""
    return [
        [p.better, p.other, str(p.scenes), f"{p.mean:+.2f} ± {p.error:.2f}", f"{p.wins} of {p.scenes}"] for p in pairs
    ]


def as_html(headings: Sequence[str], body: Sequence[Sequence[str]], words: int = WORDS) -> str:
    """Make a table that scrolls sideways on a phone; the first columns hold words, the others numbers."""

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(f"<{tag}{'' if i < words else ' class=n'}>{escape(text)}</{tag}>" for i, text in enumerate(row))

    rows = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in body)
    return (
        f'<div class="wide"><table><thead><tr>{cells(headings, "th")}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def as_markdown(headings: Sequence[str], body: Sequence[Sequence[str]], words: int = WORDS) -> str:
    """Make the same table in Markdown."""
    rule = ["---" if i < words else "---:" for i in range(len(headings))]
    rows = [[cell.replace("|", "\\|") for cell in row] for row in (headings, rule, *body)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
