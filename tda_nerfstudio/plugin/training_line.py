"""The training line: phase, loss, PSNR and the time that is left, in one line on the terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from rich.live import Live
from rich.text import Text
from torch import Tensor

from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.learning.forecast import in_short
from tda_nerfstudio.learning.waves import Wave, locate

SHARE, SECONDS = 20, 10.0
"""Outside terminals, a line is printed for each twentieth of the steps, but at most one in ten seconds."""
TRUST = 5.0
"""Seconds of training after which their measured time counts as much as the forecast."""


class TrainingLine:
    """Show how training goes: in place on a terminal, or else in an occasional line.

    Stop it before anything else shows progress on the terminal. The next step shows it again.
    """

    def __init__(self, waves: Sequence[Wave], seconds: Mapping[str, float], start: int) -> None:
        """Start at the step `start`. `seconds` are the forecast's seconds of a step, by the name of its phase."""
        self.waves, self.seconds, self.start = waves, dict(seconds), start
        self.loss: Tensor | None = None
        self.psnr: float | None = None
        """PSNR of the last held-out view that was scored."""
        self.total = waves[-1].end
        self.began = time.perf_counter()
        self.told, self.said = self.share(start), -SECONDS
        self.live: Live | None = None

    def share(self, step: int) -> int:
        """Count the twentieths of all steps that are complete before a step."""
        return step * SHARE // self.total

    def forecast(self, step: int) -> float:
        """Add up the forecast's seconds from a step to the end."""
        spans = [span for wave in self.waves for span in wave.spans if span.end > step]
        return sum((span.end - max(span.start, step)) * self.seconds.get(span.phase.name, 0.0) for span in spans)

    def left(self, step: int) -> float:
        """Estimate the seconds that are left after a step: the forecast, scaled by how right it was so far."""
        ahead, behind = self.forecast(step + 1), self.forecast(self.start) - self.forecast(step + 1)
        return ahead * (TRUST + time.perf_counter() - self.began) / (TRUST + behind)

    def text(self, step: int) -> str:
        """Describe the state after a step in less than 80 characters."""
        phase = locate(self.waves, step)[1].phase
        words = [f"{phase.name:<12}", f"{100 * (step + 1) // self.total:3} %"]
        words.append(f"step {step + 1} of {self.total}")
        if self.loss is not None:
            words.append(f"loss {float(self.loss):.4f}")
        if self.psnr is not None and phase.renders:
            words.append(f"PSNR {self.psnr:.1f} dB")
        return "  ".join([*words, f"{in_short(self.left(step))} left"] if step + 1 < self.total else words)

    def show(self, step: int) -> None:
        """Show the state after a step."""
        now = time.perf_counter() - self.began
        if CONSOLE.is_interactive:
            if self.live is None:
                self.live, self.said = Live(console=CONSOLE, transient=True, auto_refresh=False), -SECONDS
                self.live.start()
            if now - self.said > 0.2:
                self.said = now
                self.live.update(Text(self.text(step), no_wrap=True, overflow="ellipsis"), refresh=True)
        elif self.share(step + 1) > self.told and now - self.said >= SECONDS:
            self.told, self.said = self.share(step + 1), now
            CONSOLE.print(self.text(step), markup=False, highlight=False, soft_wrap=True)

    def stop(self) -> None:
        """Remove the line from the terminal."""
        if self.live is not None:
            self.live.stop()
            self.live = None
