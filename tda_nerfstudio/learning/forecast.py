"""What a run will cost, measured before its first step."""

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
    summary: str
    seconds: dict[str, float]
    """Of a step, by phase."""


def in_words(seconds: float) -> str:
    """Say how long something takes, as one would say it."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return "less than a minute"
    if minutes < 100:
        return f"about {minutes} minute{'s' * (minutes != 1)}"
    return f"about {seconds / 3600:.1f} hours"


def in_short(seconds: float) -> str:
    """Say the same in a line that changes all the time."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def forecast(learner: Learner, waves: Sequence[Wave], begun: int, scenes: int) -> Forecast:
    """Tabulate steps, visits, minutes, memory and bytes on disk of all waves, from the step `begun` on.

    The learner is that of the wave at this step; the run has so many scenes in all. Each phase's losses and gradients
    are computed twice on its first batch, the second time on the clock, and thrown away: nothing that trains changes.
    Optimizer steps and evaluations come on top.
    """
    table = Table(title="Forecast", title_justify="left")
    for heading in ("phase", "steps", "visits a scene", "s a step", "time"):
        table.add_column(heading, justify="left" if heading == "phase" else "right")
    total, by_phase = 0.0, {}
    wave = learner.wave
    for span in wave.spans:
        alike = [other for each in waves for other in each.spans if other.phase.name == span.phase.name]
        steps = sum(max(other.end - max(other.start, begun), 0) for other in alike)
        seconds = learner.dry_step(span) if steps else 0.0
        total += steps * seconds
        by_phase[span.phase.name] = seconds
        visits = wave.visits(span, learner.batches.images_per_step)
        takes = in_short(steps * seconds) if steps else "-"
        table.add_row(span.phase.name, str(steps), f"{visits:.0f}", f"{seconds:.2f}", takes)
    weights = sum(
        param.numel() * param.element_size() for params in learner.training.groups.values() for param in params
    )
    views = learner.batches.views
    images = views.held_out.files.bytes
    if learner.codec.f == 1 or any(phase.needs_images for phase in wave.phases):
        images += views.train.files.bytes
    summary = (
        f"{counted(scenes, 'scene')}: {in_words(total)},"
        f" {(peak_memory() + 2 * weights + images) / 2**30:.1f} GiB of memory, {3 * weights / 2**20:.0f} MiB on disk"
    )
    return Forecast(table, summary, by_phase)
