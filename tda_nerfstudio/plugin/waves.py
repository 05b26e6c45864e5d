"""Waves: groups of scenes that are learnt one after the other, each from the first phase to the last.

With frozen shared parts scenes know nothing of each other, so a wave needs memory for its own scenes alone. Without
waves all scenes are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tda_nerfstudio.learning.schedule import Schedule, Span, span_at, timeline
from tda_nerfstudio.plugin.multi_scene_datamanager import MultiSceneDataManagerConfig


class Wave(NamedTuple):
    """Scenes that learn together, and their phases on the run's absolute steps."""

    scenes: Sequence[int]
    """Their places among the run's scenes."""
    spans: list[Span]
    attempt: int = 0
    """Another attempt draws other views and rays."""

    @property
    def start(self) -> int:
        """The wave's first step."""
        return self.spans[0].start

    @property
    def end(self) -> int:
        """The step after the wave's last one."""
        return self.spans[-1].end

    def visits(self, span: Span, images_per_step: float) -> float:
        """Count a phase's visits of each scene."""
        return (span.end - span.start) * images_per_step / len(self.scenes)


def wave_size(scenes: int, per_wave: int | None) -> int:
    """Count the scenes that are learnt at once."""
    return min(per_wave or scenes, scenes)


def plan(
    schedule: Schedule,
    manager: MultiSceneDataManagerConfig,
    scenes: int,
    per_wave: int | None,
    rays_share: float = 1.0,
    total: int | None = None,
) -> list[Wave]:
    """Place all waves on the run's steps; with `total` they are rescaled to that many.

    A step sees `rays_share` of each of its images. Waves that are left no step by a small total are left out.
    """
    waves: list[Wave] = []
    size, start = wave_size(scenes, per_wave), 0
    for first in range(0, scenes, size):
        last = min(first + size, scenes)
        at_once = min(manager.scenes_per_step, last - first)
        images = at_once * manager.views_per_scene * rays_share
        end = None if total is None else round(total * last / scenes)
        steps = None if end is None else end - start
        if steps == 0:
            continue
        spans = timeline(schedule.phases(), last - first, images, steps, (last - first) / at_once)
        placed = [span._replace(start=span.start + start, end=span.end + start) for span in spans]
        if placed:
            waves.append(Wave(range(first, last), placed))
            start = placed[-1].end
    return waves


def wave_at(waves: Sequence[Wave], step: int) -> Wave:
    """Find the wave of a step; the last one for every step beyond the end."""
    return next((wave for wave in waves if step < wave.end), waves[-1])


def place(waves: Sequence[Wave], step: int) -> tuple[Wave, Span]:
    """Find the wave and the phase of a step."""
    wave = wave_at(waves, step)
    return wave, span_at(wave.spans, step)
