"""The forecast: what a run will cost, measured before its first step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.table import Table

from tda_nerfstudio.base.errors import counted
from tda_nerfstudio.base.hardware import peak_memory
from tda_nerfstudio.learning.learner import Learner
from tda_nerfstudio.learning.waves import Wave


class Forecast(NamedTuple):
    """What a run will cost."""

    table: Table
    """Steps, visits and time of each phase."""
    summary: str
    """Scenes, time, memory and disk in a line."""
    seconds: dict[str, float]
    """Seconds of a step by the name of its phase; 0 for phases that are done."""


def in_words(seconds: float) -> str:
    """Say a duration in words, rounded to minutes or to tenths of an hour."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return "less than a minute"
    if minutes < 100:
        return f"about {minutes} minute{'s' * (minutes != 1)}"
    return f"about {seconds / 3600:.1f} hours"


def in_short(seconds: float) -> str:
    """Say a duration in a few characters: `45 s`, `12 min`, `3.4 h`."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def forecast(learner: Learner, waves: Sequence[Wave], first: int, scenes: int) -> Forecast:
    """Forecast time, memory and disk of a run of so many `scenes`, from the step `first` on.

    `learner` is that of the wave of this step. `dry_step` times each of its phases; nothing that is learnt changes.
    Optimizer steps and evaluations take more time than is said here.
    """
    table = Table(title="Forecast", title_justify="left")
    for heading in ("phase", "steps", "visits a scene", "s a step", "time"):
        table.add_column(heading, justify="left" if heading == "phase" else "right")
    total, by_phase = 0.0, {}
    wave = learner.wave
    for span in wave.spans:
        alike = [other for each in waves for other in each.spans if other.phase.name == span.phase.name]
        steps = sum(max(other.end - max(other.start, first), 0) for other in alike)
        seconds = learner.dry_step(span) if steps else 0.0
        total += steps * seconds
        by_phase[span.phase.name] = seconds
        visits = wave.visits(span, learner.batches.size, learner.batches.parts)
        takes = in_short(steps * seconds) if steps else "-"
        table.add_row(span.phase.name, str(steps), f"{visits:.3g}", f"{seconds:.2f}", takes)
    weights = sum(param.nbytes for params in learner.training.groups.values() for param in params)
    views = learner.batches.views
    images = views.held_out.files.bytes
    if learner.codec.keeps_pixels or any(phase.needs_images for phase in wave.phases):
        images += views.train.files.bytes
    summary = (
        f"{counted(scenes, 'scene')}: {in_words(total)},"
        f" {(peak_memory() + 2 * weights + images) / 2**30:.1f} GiB of memory, {3 * weights / 2**20:.0f} MiB on disk"
    )
    return Forecast(table, summary, by_phase)
