"""What a bench leaves behind: tables to look at, bench.json with every sample, bench.md, bench.png."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tda_nerfstudio.base.atomic import replace_file, write_text
from tda_nerfstudio.studies.bench.headline import Figure
from tda_nerfstudio.studies.bench.quality import Mark
from tda_nerfstudio.studies.bench.timing import PARTS, Row, spread

GROWTH = ("scenes", "rays", "samples")
HEADLINE = ("figure", "value", "quartiles", "by CPU time", "target", "")


@dataclass
class Report:
    """Everything that was found out."""

    machine: dict[str, Any]
    settings: dict[str, Any]
    groups: dict[str, list[Row]] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def tables(self) -> list[tuple[str, Sequence[str], list[list[str]]]]:
        """List title, headings and lines of each table; the headline comes first."""
        tables: list[tuple[str, Sequence[str], list[list[str]]]] = []
        on_cpu = self.machine["device"] == "cpu"
        tables.append(("headline", HEADLINE, [_figure_line(figure, on_cpu) for figure in self.figures]))
        for name, rows in self.groups.items():
            parts = [part for part in PARTS if any(row.samples and row.part(part) for row in rows)]
            headings = ("path", "case", "ms", "spread", "ms an image", *parts, "state MB", "peak MB")
            tables.append((name, headings, [_row_line(row, parts) for row in rows]))
        if self.marks:
            headings = ("path", "visits", "seconds", "PSNR dB", "loss")
            lines = [
                [mark.path, f"{mark.visits:.0f}", f"{mark.seconds:.1f}", f"{mark.psnr:.2f}", f"{mark.loss:.2e}"]
                for mark in self.marks
            ]
            tables.append(("quality: held-out latents of fitted scenes", headings, lines))
        return tables

    def header(self) -> list[str]:
        """Say where and how it ran."""
        machine = self.machine
        versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
        return [
            f"{machine['time']}, {machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, device"
            f" {machine['device']}, load average {machine['load']} before the start",
            versions,
            f"{self.settings['repeats']} rounds, medians, spread = half the distance of the quartiles; ms by part; peak"
            " = memory in use during one run above that before it (CUDA: torch's; Linux: the kernel's high-water mark"
            " of this process)",
        ]


def _figure_line(figure: Figure, on_cpu: bool) -> list[str]:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.2f}"

    value = f"{number(figure.value)} {figure.unit}" if figure.value is not None else ""
    quartiles = f"{number(figure.low)} to {number(figure.high)}" if figure.low is not None else ""
    return [figure.what, value, quartiles, number(figure.by_cpu if on_cpu else None), figure.target, figure.verdict]


def _row_line(row: Row, parts: Sequence[str]) -> list[str]:
    if row.skipped:
        return [row.path, row.name, f"skipped: {row.skipped}"]
    low, middle, high = spread(row.seconds)
    times = [f"{1e3 * row.part(part):.1f}" if row.part(part) else "" for part in parts]
    peak = "" if row.peak_bytes is None else f"{row.peak_bytes / 1e6:.0f}"
    around = f"± {50 * (high - low) / middle:.0f} %"
    each = f"{1e3 * middle / row.images:.1f}"
    return [row.path, row.name, f"{1e3 * middle:.1f}", around, each, *times, f"{row.held_bytes / 1e6:.0f}", peak]


def show(report: Report) -> None:
    """Print header, tables and warnings."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for line in report.header():
        console.print(line, highlight=False)
    for title, headings, lines in report.tables():
        table = Table(title=title, title_justify="left")
        words = 2 if title != "headline" else 1
        for i, heading in enumerate(headings):
            table.add_column(heading, justify="left" if i < words or not heading else "right")
        for line in lines:
            table.add_row(*line)
        console.print(table)
    for warning in report.warnings:
        console.print(f"[bold red]{warning}[/bold red]")


def write(report: Report, out: Path) -> None:
    """Write bench.json, which holds every sample, and bench.md."""
    write_text(out / "bench.json", json.dumps(asdict(report), indent=1))
    blocks = ["# tda bench", *report.header(), *(f"**{warning}**" for warning in report.warnings)]
    for title, headings, lines in report.tables():
        rows = [list(headings), ["---"] * len(headings), *lines]
        blocks += [f"## {title}", "\n".join("| " + " | ".join(row) + " |" for row in rows)]
    write_text(out / "bench.md", "\n\n".join(blocks) + "\n")


def draw(report: Report, path: Path) -> None:
    """Draw how steps grow with scenes, rays and samples, where that was timed and matplotlib is installed."""
    grown = [name for name in GROWTH if any(row.samples for row in report.groups.get(name, []))]
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as Canvas
    except ImportError:
        print("matplotlib is missing: bench.png is skipped.")
        return
    if not grown:
        return
    canvas = Canvas(figsize=(4 * len(grown), 3.4), layout="constrained")
    FigureCanvasAgg(canvas)
    for axes, name in zip(canvas.subplots(1, len(grown), squeeze=False)[0], grown, strict=True):
        for path_name in ("ours", "rgb", "plain"):
            rows = [row for row in report.groups[name] if row.path == path_name and row.samples]
            if rows:
                low, middle, high = zip(*(spread(row.seconds) for row in rows), strict=True)
                bars = [[m - lo for m, lo in zip(middle, low)], [hi - m for m, hi in zip(middle, high)]]  # noqa: B905
                label = f"{path_name}: {rows[0].name.split(',')[0]}"
                axes.errorbar([row.x for row in rows], middle, bars, marker="o", capsize=3, label=label)
        axes.set(xscale="log", yscale="log", xlabel=name, ylabel="seconds a step")
        timed = sorted({row.x for row in report.groups[name] if row.samples and row.x is not None})
        axes.set_xticks(timed, [f"{x:,.0f}" for x in timed])
        axes.minorticks_off()
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize=7)
    replace_file(path, lambda file: canvas.savefig(file, format="png", dpi=120))
