"""Curves: values over the steps of a run, thinned out as they grow."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

MOST = 400
"""Points of a curve, at most: more would not be seen, and checkpoints keep them."""
WAITING = 64
"""Values that wait on their device until they are read together, as reading each would make a GPU wait."""


@dataclass
class Curve:
    """Means of a value over equally many of its occurrences. Twice as many share a point once there are too many."""

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    stride: int = 1
    """Occurrences that share a point."""
    total: float = 0.0
    count: int = 0
    """Sum and number of those that do not make a whole point yet."""

    def add(self, step: int, value: float) -> None:
        """Add a value, if it is finite."""
        if not math.isfinite(value):
            return
        self.total, self.count = self.total + value, self.count + 1
        if self.count < self.stride:
            return
        self.steps.append(step)
        self.values.append(self.total / self.count)
        self.total, self.count = 0.0, 0
        if len(self.steps) >= MOST:
            self.steps = self.steps[1::2]
            self.values = [(a + b) / 2 for a, b in zip(self.values[::2], self.values[1::2], strict=True)]
            self.stride *= 2


class Curves:
    """Curves by name. Several threads may use them."""

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        """Go on from what `state` gave, or begin with none."""
        self._curves = {name: Curve(**curve) for name, curve in (state or {}).items()}
        self._waiting: list[tuple[str, int, float | Tensor]] = []
        self._lock = threading.Lock()

    def add(self, name: str, step: int, value: float | Tensor) -> None:
        """Add the value of a step to a curve, a number or a tensor of one; those that are not finite are left out."""
        with self._lock:
            self._waiting.append((name, step, value))
            if len(self._waiting) >= WAITING:
                self._settle()

    def read(self, kind: str) -> dict[str, tuple[list[int], list[float]]]:
        """Give steps and values of all curves whose names begin with `kind` and a slash, by the rest of their names."""
        with self._lock:
            self._settle()
            found = {name.partition("/"): curve for name, curve in self._curves.items()}
            return {name: ([*c.steps], [*c.values]) for (first, _, name), c in found.items() if first == kind}

    def state(self) -> dict[str, dict[str, Any]]:
        """Give what a checkpoint keeps."""
        with self._lock:
            self._settle()
            return {name: asdict(curve) for name, curve in self._curves.items()}

    def _settle(self) -> None:
        """Read the values that wait."""
        waiting, self._waiting = self._waiting, []
        tensors = [value.detach().float() for _, _, value in waiting if isinstance(value, Tensor)]
        numbers = iter(torch.stack(tensors).tolist() if tensors else ())
        for name, step, value in waiting:
            number = next(numbers) if isinstance(value, Tensor) else value
            self._curves.setdefault(name, Curve()).add(step, number)
