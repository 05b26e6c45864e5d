"""Phases placed on steps.

Lengths are given in visits per scene (Sec. 4 of 2403.11678: epochs times training views), not in steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tda_nerfstudio.core.phase import Phase

RAMP = 5
"""Rounds over which learning rates rise in a new phase, since Adam's statistics of a scene are poor at first."""


class Span(NamedTuple):
    """A phase placed on the run's absolute steps, [start, end).

    Learning rates change between rounds only. Hence a scene learns the same however many others are learnt with it.
    """

    phase: Phase
    start: int
    end: int
    round: float = 1.0
    """Steps of a round, in which every scene is visited once."""

    def rounds(self, step: int) -> int:
        """Count the rounds of the phase that are complete before an absolute step."""
        return int((step - self.start) / self.round + 1e-6)

    def rate_share(self, step: int) -> float:
        """Return the factor on the phase's learning rates at an absolute step: a short ramp, times the decay."""
        ramp = min(1.0, (self.rounds(step) + 1) / RAMP)
        return ramp * self.phase.final_rate ** self.share(step)

    def share(self, step: int) -> float:
        """Return the share of the phase that is complete before an absolute step, in whole rounds, from 0 to 1."""
        return self.rounds(step) * self.round / max(self.end - self.start, 1)


def timeline(
    phases: Sequence[Phase],
    scenes: int,
    images_per_step: Callable[[Phase], float],
    total: int | None = None,
    round_steps: float = 1.0,
) -> list[Span]:
    """Place phases on steps: visits * scenes / images_per_step for each, rescaled to `total` steps if that is given.

    A round takes `round_steps` steps. Each phase gets at least one step. If `total` is less than the number of phases,
    the shortest ones are left out; so is a phase of 0 visits.
    """
    phases = [phase for phase in phases if phase.visits > 0]
    steps = [phase.visits * scenes / images_per_step(phase) for phase in phases]
    scale = 1.0 if total is None or not steps else total / sum(steps)
    least = 1 if total is None or total >= len(phases) else 0
    spans, reached, start = [], 0.0, 0
    for i, (phase, length) in enumerate(zip(phases, steps, strict=True), 1):
        reached += length * scale
        end = max(round(reached), start + least)
        if total is not None:
            end = min(end, total - least * (len(phases) - i))
        spans.append(Span(phase, start, end, round_steps))
        start = end
    return [span for span in spans if span.end > span.start]


def span_at(spans: Sequence[Span], step: int) -> Span:
    """Find the phase of a step. Steps beyond the end belong to the last one."""
    return next((span for span in spans if step < span.end), spans[-1])
