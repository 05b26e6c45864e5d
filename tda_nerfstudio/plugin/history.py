"""The history of a run over all its sessions: command lines, and the time of training steps."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class History:
    """What all sessions of a run add to. Checkpoints keep it."""

    commands: list[str] = field(default_factory=list)
    """One for each session, the first one first."""
    steps: dict[str, int] = field(default_factory=dict)
    """Timed steps by the name of their phase."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall-clock seconds of these steps, without evaluations and saving, by the name of their phase."""
    curves: dict[str, Any] = field(default_factory=dict)
    """What is known of losses and latents over steps, as `learning.curves.Curves.state` gives it."""
    began: float = 0.0
    """When the current step began, in seconds of the process' clock."""

    def note_command(self) -> None:
        """Add the command line of this process."""
        self.commands.append(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]))

    def begin_step(self) -> None:
        """Start the clock of a step."""
        self.began = time.perf_counter()

    def end_step(self, phase: str) -> None:
        """Add the step to its phase, given by name."""
        self.steps[phase] = self.steps.get(phase, 0) + 1
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - self.began

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {key: value for key, value in asdict(self).items() if key != "began"}
