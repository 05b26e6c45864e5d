"""Time cases side by side: in every round each case runs once, so that other load on the machine hits all of them.

Not by torch.utils.benchmark, whose timer runs a case two more times before each measurement, which would make a round
three times as long, and measures neither parts nor CPU seconds.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.studies.bench.memory import available_bytes, peak_bytes

PARTS = ("fuse", "march", "encode", "decode", "losses", "backward", "optimizer", "build", "load")
SHORTEST = 0.05
"""Seconds; shorter cases run several times a sample."""
MOST_MEMORY = 0.9
"""Share of the available memory that a case may need."""


class Stopwatch:
    """Seconds by part. Time in an inner part counts for that part alone."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.parts: dict[str, float] = {}
        self._inner = [0.0]

    def now(self) -> float:
        """Wait until the device is done, then read the clock in seconds."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of what happens inside to a part."""
        start = self.now()
        self._inner.append(0.0)
        yield
        seconds = self.now() - start
        self.parts[name] = self.parts.get(name, 0.0) + seconds - self._inner.pop()
        self._inner[-1] += seconds

    @contextmanager
    def watching(self, *functions: tuple[Any, str, str]) -> Iterator[None]:
        """Time functions wherever they are called from: (object or module, attribute, part) each."""
        with ExitStack() as stack:
            for owner, name, part in functions:
                stack.enter_context(patch.object(owner, name, self._timed(getattr(owner, name), part)))
            yield

    def _timed(self, function: Callable, part: str) -> Callable:
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.part(part):
                return function(*args, **kwargs)

        return timed


@dataclass(frozen=True)
class Job:
    """A case that is ready to run."""

    run: Callable[[Stopwatch], None]
    held: Callable[[], int] = lambda: 0
    """Bytes of parameters, gradients and optimizer states after a run."""


@dataclass(frozen=True)
class Case:
    """What is to be timed, on which path, and an estimate of the most bytes that it needs."""

    path: str
    name: str
    make: Callable[[], Job]
    needs: float = 0.0
    images: float = 1
    """Seconds are also shown divided by this."""
    x: float | None = None
    """Position on a growth plot."""


@dataclass
class Sample:
    """One timed run: seconds on the wall, by part, and of all the process' threads together."""

    seconds: float
    parts: dict[str, float]
    cpu: float


@dataclass
class Timing:
    """What was measured of a case, or why it was skipped."""

    path: str
    name: str
    images: float
    x: float | None
    skipped: str = ""
    held_bytes: int = 0
    peak_bytes: int | None = None
    """Most memory in use while it ran, above what was in use before."""
    samples: list[Sample] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Name the case within its group."""
        return f"{self.path}: {self.name}"

    @property
    def seconds(self) -> list[float]:
        """One number a sample."""
        return [sample.seconds for sample in self.samples]

    def part(self, name: str) -> float:
        """Median seconds of a part."""
        return statistics.median(sample.parts.get(name, 0.0) for sample in self.samples)


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return low, middle, high


def paired(above: Timing, below: Timing) -> list[float]:
    """Divide two cases' seconds, round by round."""
    return [a / b for a, b in zip(above.seconds, below.seconds, strict=True)]


def sample(job: Job, times: int, device: torch.device) -> Sample:
    """Run a job some times in a row; give the mean of them."""
    watch = Stopwatch(device)
    start, cpu = watch.now(), time.process_time()
    for _ in range(times):
        job.run(watch)
    seconds, cpu = watch.now() - start, time.process_time() - cpu
    parts = {name: seconds / times for name, seconds in watch.parts.items()}
    return Sample(seconds / times, parts, cpu / times)


def time_group(
    cases: Sequence[Case],
    repeats: int,
    device: torch.device,
    show: Callable[[str, float, float], None],
    until: float = math.inf,
) -> list[Timing]:
    """Build all cases that fit into memory, warm them up, then time them in rounds.

    `show` gets the case at work, and how much of the group is done of how much, in seconds by the warm-up's measure.
    Once `time.monotonic()` is beyond `until`, no round begins but the first.
    """
    gc.collect()
    rows, ready = [], []
    for case in cases:
        row = Timing(case.path, case.name, case.images, case.x)
        rows.append(row)
        show(row.key, 0, 0)
        free = available_bytes(device)
        if case.needs > MOST_MEMORY * free:
            row.skipped = f"needs about {case.needs / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
            continue
        try:
            job = case.make()
            sample(job, 1, device)  # pays for what is allocated, chosen or compiled once
            warm, row.peak_bytes = peak_bytes(device, lambda job=job: sample(job, 1, device))
        except (TdaError, torch.cuda.OutOfMemoryError) as error:
            row.skipped = str(error)
            continue
        row.held_bytes = job.held()
        ready.append((row, job, warm.seconds))
    total, done = repeats * sum(max(seconds, SHORTEST) for *_, seconds in ready), 0.0
    for i in range(repeats):
        if i and time.monotonic() > until:
            break
        for row, job, seconds in ready:
            show(row.key, done, total)
            row.samples.append(sample(job, max(1, round(SHORTEST / seconds)), device))
            done += max(seconds, SHORTEST)
    show("", total, total)
    return rows
