"""The training line: phase, loss, PSNR and the time that is left."""

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
"""Where nobody watches, a line is printed for each twentieth of the steps, and for no more than one in ten seconds."""
TRUST = 5.0
"""Seconds of training after which what they took counts for as much as the forecast."""


class TrainingLine:
    """Say how training goes: in place on a terminal, else in an occasional line.

    Nothing else that moves may be on the terminal beside it: stop it first. It comes back with the next step.
    """

    def __init__(self, waves: Sequence[Wave], seconds: Mapping[str, float], start: int) -> None:
        """Take the forecast's seconds a step of each phase, and the first step."""
        self.waves, self.seconds, self.start = waves, dict(seconds), start
        self.loss: Tensor | None = None
        self.psnr: float | None = None
        """Of the last held-out view that was looked at."""
        self.total = waves[-1].end
        self.began = time.perf_counter()
        self.told, self.said = self.share(start), -SECONDS
        self.live: Live | None = None

    def share(self, step: int) -> int:
        """Count the twentieths of the steps that lie behind."""
        return step * SHARE // self.total

    def forecast(self, step: int) -> float:
        """Add up the forecast's seconds from a step to the end."""
        spans = [span for wave in self.waves for span in wave.spans if span.end > step]
        return sum((span.end - max(span.start, step)) * self.seconds.get(span.phase.name, 0.0) for span in spans)

    def left(self, step: int) -> float:
        """Estimate the seconds that the steps after this one will take: the forecast, by what it was worth so far."""
        ahead, behind = self.forecast(step + 1), self.forecast(self.start) - self.forecast(step + 1)
        return ahead * (TRUST + time.perf_counter() - self.began) / (TRUST + behind)

    def text(self, step: int) -> str:
        """Say it in one line of less than 80 characters."""
        phase = locate(self.waves, step)[1].phase
        words = [f"{phase.name:<12}", f"{100 * (step + 1) // self.total:3} %"]
        words.append(f"step {step + 1} of {self.total}")
        if self.loss is not None:
            words.append(f"loss {float(self.loss):.4f}")
        if self.psnr is not None and phase.renders:
            words.append(f"PSNR {self.psnr:.1f} dB")
        return "  ".join([*words, f"{in_short(self.left(step))} left"] if step + 1 < self.total else words)

    def show(self, step: int) -> None:
        """Tell of a step that is done."""
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
        """Take the line off the terminal."""
        if self.live is not None:
            self.live.stop()
            self.live = None
