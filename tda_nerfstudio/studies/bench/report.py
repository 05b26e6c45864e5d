"""What a bench leaves behind: tables to look at, bench.json with every sample, bench.md, bench.svg."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tda_nerfstudio.base.atomic import replace_file, write_text
from tda_nerfstudio.studies.bench.headline import Comparison
from tda_nerfstudio.studies.bench.quality import Mark
from tda_nerfstudio.studies.bench.timing import PARTS, Timing, spread

CHART = "bench.svg"
GROWTH = ("scenes", "rays", "samples")
HEADLINE = ("figure", "value", "quartiles", "by CPU time", "target", "")
UNSAFE = {"|": r"\|", "\n": " ", "<": "&lt;"}
"""What a cell's text may do to a Markdown table, and what is written instead; "<=" is no tag and stays."""


class BenchTable(NamedTuple):
    """Lines of words and numbers; the first `words` columns are words."""

    title: str
    words: int
    headings: Sequence[str]
    lines: list[list[str]]


@dataclass
class Report:
    """Everything that was found out."""

    machine: dict[str, Any]
    settings: dict[str, Any]
    groups: dict[str, list[Timing]] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    figures: list[Comparison] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def tables(self) -> list[BenchTable]:
        """List all tables; the headline comes first."""
        on_cpu = self.machine["device"] == "cpu"
        tables = [BenchTable("headline", 1, HEADLINE, [_figure_line(figure, on_cpu) for figure in self.figures])]
        for name, rows in self.groups.items():
            parts = [part for part in PARTS if any(row.samples and row.part(part) for row in rows)]
            headings = ("path", "case", "ms", "spread", "ms an image", *parts, "state MB", "peak MB")
            tables.append(BenchTable(name, 2, headings, [_timing_line(row, parts) for row in rows]))
        if self.marks:
            lines = [
                [mark.path, f"{mark.visits:.0f}", f"{mark.seconds:.1f}", f"{mark.psnr:.2f}", f"{mark.loss:.2e}"]
                for mark in self.marks
            ]
            headings = ("path", "visits", "seconds", "PSNR dB", "loss")
            tables.append(BenchTable("quality: held-out latents of fitted scenes", 1, headings, lines))
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


def _figure_line(figure: Comparison, on_cpu: bool) -> list[str]:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.2f}"

    value = f"{number(figure.value)} {figure.unit}" if figure.value is not None else ""
    quartiles = f"{number(figure.low)} to {number(figure.high)}" if figure.low is not None else ""
    return [figure.what, value, quartiles, number(figure.by_cpu if on_cpu else None), figure.target, figure.verdict]


def _timing_line(row: Timing, parts: Sequence[str]) -> list[str]:
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
    for table in report.tables():
        printed = Table(title=table.title, title_justify="left")
        for i, heading in enumerate(table.headings):
            printed.add_column(heading, justify="left" if i < table.words or not heading else "right")
        for line in table.lines:
            printed.add_row(*line)
        console.print(printed)
    for warning in report.warnings:
        console.print(f"[bold red]{warning}[/bold red]")


def write(report: Report, out: Path) -> None:
    """Write bench.json, which holds every sample, bench.md and, where growth was timed, the chart that it shows."""
    from jinja2 import Environment, PackageLoader

    write_text(out / "bench.json", json.dumps(asdict(report), indent=1))
    grown = [name for name in GROWTH if any(row.samples for row in report.groups.get(name, []))]
    if grown:
        draw(report, grown, out / CHART)
    loader = PackageLoader("tda_nerfstudio.studies.bench", "")
    pages = Environment(loader=loader, finalize=escaped, trim_blocks=True, lstrip_blocks=True)
    page = pages.get_template("bench.md.j2").render(report=report, chart=CHART if grown else None)
    write_text(out / "bench.md", page + "\n")


def escaped(value: object) -> str:
    """Write a value so that it breaks no Markdown table and is no tag."""
    return re.sub(r"[|\n]|<(?=[A-Za-z/!?])", lambda found: UNSAFE[found[0]], str(value))


def draw(report: Report, grown: Sequence[str], path: Path) -> None:
    """Draw how the time of a step grows with scenes, rays or samples."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(grown), 3.4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(grown), squeeze=False)[0], grown, strict=True):
        rows = [row for row in report.groups[name] if row.samples]
        for path_name in ("ours", "rgb", "plain"):
            own = [row for row in rows if row.path == path_name]
            if own:
                low, middle, high = zip(*(spread(row.seconds) for row in own), strict=True)
                bars = [[m - lo for m, lo in zip(middle, low)], [hi - m for m, hi in zip(middle, high)]]  # noqa: B905
                label = f"{path_name}: {own[0].name.split(',')[0]}"
                axes.errorbar([row.x for row in own], middle, bars, marker="o", capsize=3, label=label)
        axes.set(xscale="log", yscale="log", xlabel=name, ylabel="seconds a step")
        timed = sorted({row.x for row in rows if row.x is not None})
        axes.set_xticks(timed, [f"{x:,.0f}" for x in timed])
        axes.minorticks_off()
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize=7)
    replace_file(path, lambda file: figure.savefig(file, format="svg"))
