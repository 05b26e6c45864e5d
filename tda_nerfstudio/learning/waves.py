"""Waves: groups of scenes that are learnt one after the other, each from the first phase to the last.

Memory is needed for the scenes of one wave only. This takes frozen shared parts, with which scenes do not depend on
each other. If shared parts move, all scenes are one wave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from tda_nerfstudio.core.phase import Phase
from tda_nerfstudio.learning.batches import StepSize
from tda_nerfstudio.learning.schedule import Schedule
from tda_nerfstudio.learning.timeline import Span, span_at, timeline


class Wave(NamedTuple):
    """Scenes that are learnt together, and their phases on the run's absolute steps."""

    scenes: Sequence[int]
    """Their positions among the run's scenes."""
    spans: list[Span]

    @property
    def start(self) -> int:
        """The wave's first step."""
        return self.spans[0].start

    @property
    def end(self) -> int:
        """The step after the wave's last one."""
        return self.spans[-1].end

    @property
    def phases(self) -> list[Phase]:
        """The phases in order."""
        return [span.phase for span in self.spans]

    def visits(self, span: Span, size: StepSize, parts: int) -> float:
        """Count how often a phase visits each scene, whose views have so many parts."""
        return (span.end - span.start) * size.images(span.phase, len(self.scenes), parts) / len(self.scenes)

    def only(self, rows: Sequence[int], size: StepSize, parts: int) -> Wave:
        """Plan the same visits for some of the scenes, given by their rows, from the same first step on."""
        phases = [replace(span.phase, visits=self.visits(span, size, parts)) for span in self.spans]
        return Wave([self.scenes[row] for row in rows], _spans(phases, len(rows), size, parts, self.start))


def wave_size(scenes: int, per_wave: int | None) -> int:
    """Count the scenes of a wave: `per_wave`, by default all."""
    return min(per_wave or scenes, scenes)


def plan(
    schedule: Schedule, size: StepSize, parts: int, scenes: int, per_wave: int | None = None, total: int | None = None
) -> list[Wave]:
    """Place all waves on the run's steps.

    `scenes` and `per_wave` count scenes, `parts` those of a view's latent pixels. With `total`, the schedule is
    rescaled to so many steps; waves and phases for which no step is left are left out.
    """
    waves: list[Wave] = []
    count, start = wave_size(scenes, per_wave), 0
    for first in range(0, scenes, count):
        last = min(first + count, scenes)
        steps = None if total is None else round(total * last / scenes) - start
        if steps == 0:
            continue
        spans = _spans(schedule.phases(), last - first, size, parts, start, steps)
        if spans:
            waves.append(Wave(range(first, last), spans))
            start = spans[-1].end
    return waves


def _spans(
    phases: Sequence[Phase], scenes: int, size: StepSize, parts: int, start: int, total: int | None = None
) -> list[Span]:
    """Place the phases of one wave on steps, the first one at `start`."""
    images = partial(size.images, scenes=scenes, parts=parts)
    spans = timeline(phases, scenes, images, total, scenes / size.at_once(scenes))
    return [span._replace(start=span.start + start, end=span.end + start) for span in spans]


def wave_at(waves: Sequence[Wave], step: int) -> Wave:
    """Find the wave of a step. Steps beyond the end belong to the last one."""
    return next((wave for wave in waves if step < wave.end), waves[-1])


def locate(waves: Sequence[Wave], step: int) -> tuple[Wave, Span]:
    """Find the wave and the phase of a step. Steps beyond the end belong to the last ones."""
    wave = wave_at(waves, step)
    return wave, span_at(wave.spans, step)
