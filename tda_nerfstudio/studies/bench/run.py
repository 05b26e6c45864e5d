"""`tda bench`: one process, seeded, everything side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tda_nerfstudio.base.atomic import require_writable
from tda_nerfstudio.base.errors import TdaError, suggest
from tda_nerfstudio.studies.bench.headline import headline
from tda_nerfstudio.studies.bench.machine import describe_conditions, warnings
from tda_nerfstudio.studies.bench.quality import fit
from tda_nerfstudio.studies.bench.report import Report, show, write
from tda_nerfstudio.studies.bench.steps import StepCases
from tda_nerfstudio.studies.bench.timing import Case, time_group
from tda_nerfstudio.studies.bench.views import ViewCases
from tda_nerfstudio.studies.bench.workshop import BenchSizes, Workshop

GROUPS = ("steps", "view", "decode", "open", "scenes", "rays", "samples", "quality")
LEAST, QUICK = 7, 3
"""Rounds: the fewest from which medians are reported, and those of a quick look."""


def run_bench(
    out: Path,
    repeats: int = LEAST,
    only: Sequence[str] = (),
    quick: bool = False,
    device: str | None = None,
    sizes: BenchSizes | None = None,
    seed: int = 0,
) -> Report:
    """Time all groups or some, print the tables and write them to a folder, which is kept up to date in between.

    Raises TdaError for an unknown group, a device that is not there, too few rounds or a folder that cannot be written.
    """
    check(out, repeats, only, quick)
    where, repeats = choose_device(device), QUICK if quick else repeats
    sizes = sizes or BenchSizes()
    if quick:
        sizes = replace(sizes, fit_visits=sizes.fit_visits / 4)
    settings = {"repeats": repeats, "quick": quick, "seed": seed, "sizes": asdict(sizes)}
    report = Report(describe_conditions(where), settings)
    report.warnings = warnings(report.machine)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    chosen = [group for group in GROUPS if group in only or not only]
    with tempfile.TemporaryDirectory() as folder, Progress(*columns, transient=True) as progress:
        for warning in report.warnings:
            progress.console.print(f"[bold red]{warning}[/bold red]")
        shop = Workshop(sizes, where, seed)
        groups = list_groups(shop, Path(folder), quick)
        for i, group in enumerate(chosen, 1):
            bar = show_on(progress, f"{i}/{len(chosen)} {group}")
            if group == "quality":
                report.marks = fit(shop, bar)
            else:
                report.groups[group] = time_group(groups[group](), repeats, where, bar)
            report.figures = headline(report.groups, report.marks, sizes)
            report.warnings = warnings(report.machine, [row for rows in report.groups.values() for row in rows])
            write(report, out)
    show(report)
    return report


def show_on(progress: Progress, name: str) -> Callable[[str, float, float], None]:
    """Add a bar that goes when all is done; what it gets is the case at work, and how much is done of how much."""
    task = progress.add_task(name)

    def update(case: str, done: float, total: float) -> None:
        progress.update(task, description=f"{name}  {case:45}", completed=done, total=total or None)
        progress.update(task, visible=not total or done < total)

    return update


def list_groups(shop: Workshop, folder: Path, quick: bool) -> dict[str, Callable[[], list[Case]]]:
    """Name what makes each group's cases."""
    steps, views = StepCases(shop, quick), ViewCases(shop, folder, quick)
    made = (steps.phases, views.views, views.decodes, views.opens, steps.by_scenes, steps.by_rays, steps.by_samples)
    return dict(zip(GROUPS, made, strict=False))


def check(out: Path, repeats: int, only: Sequence[str], quick: bool) -> None:
    """Raise TdaError for what would fail later."""
    for group in only:
        if group not in GROUPS:
            raise TdaError(f"Unknown group '{group}'. Groups are {', '.join(GROUPS)}.{suggest(group, GROUPS)}")
    if repeats < LEAST and not quick:
        raise TdaError(f"{repeats} rounds are too few for medians: give at least {LEAST}, or --quick for {QUICK}.")
    require_writable(out)


def choose_device(name: str | None) -> torch.device:
    """Take the device asked for, or a GPU where there is one. Raises TdaError when it is not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise TdaError("There is no CUDA device here, or this torch cannot use it. Use --device cpu.")
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
