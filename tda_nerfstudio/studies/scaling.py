"""How long an inventory takes on many workers: a discrete-event simulation of a plan, from times that were measured."""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from tda_nerfstudio.learning.forecast import in_short


@dataclass(frozen=True)
class Times:
    """What was measured, in seconds unless said otherwise."""

    scene: float
    """To learn a scene."""
    wave: float
    """What a wave takes besides its scenes: reading, scoring, publishing."""
    spread: float
    """Standard deviation of a wave's time, as a share of it."""
    worker_start: float
    """From a worker's process to its first wave: imports, shared parts."""
    driver_start: float
    """To start or join a cluster and check its machines."""
    listing: float
    """To look at one scene of the atlas while planning."""
    dispatch: float
    """The driver's own work for a wave: it does one at a time, so that this bounds the number of workers."""
    opening: float
    """To open one file of the store, which happens at the start and in the end."""
    scene_bytes: float
    """Bytes of a scene in the store."""
    shared_bytes: float
    """Bytes of the store's shared parts."""


@dataclass(frozen=True)
class Faults:
    """How often something fails, and for how long."""

    worker: float = 1 / 24
    """Deaths of a worker's process per hour of its work."""
    machine: float = 1 / 72
    """Deaths of a machine per hour, as of spot instances."""
    back: float = 180.0
    """Seconds until another machine has taken its place."""
    driver: float = 1 / 48
    """Deaths of the driver per hour; the same line goes on."""


class Simulated(NamedTuple):
    """What a simulated run takes."""

    hours: float
    busy: float
    """Share of the workers' time in which they learnt what was kept."""
    lost: int
    """Waves that were lost and learnt again."""
    files: int
    gigabytes: float
    dollars: float
    """For 1,000 scenes."""


def simulate(
    scenes: int,
    workers: int,
    times: Times,
    faults: Faults | None = None,
    per_wave: int = 16,
    price: float = 0.0,
    seed: int = 0,
) -> Simulated:
    """Run a plan with so many workers, event by event. `price` is that of a worker's hour in dollars.

    Workers bring waves to one driver and take the next, one after the other. A wave that is lost is learnt last.
    """
    draw, failing = random.Random(seed), faults or Faults(0, 0, 0, 0)
    begin = times.driver_start + scenes * times.listing
    waves = -(-scenes // per_wave)
    sizes = [scenes // waves + (k < scenes % waves) for k in range(waves)]
    events = [(begin + times.worker_start, k, 0, 0.0) for k in range(workers)]
    heapq.heapify(events)  # when a worker is free, the worker, and the wave that it brings: its scenes and seconds
    driver, end, kept, lost = begin, begin, 0.0, 0
    death = begin + _draw(draw, failing.driver)
    while events:
        now, worker, brought, took = heapq.heappop(events)
        if now > death:  # the waves in flight go with the driver; the same line starts everything again
            flying = [event[2] for event in [(now, worker, brought, took), *events] if event[2]]
            sizes, lost = flying + sizes, lost + len(flying)
            driver = death + begin
            events = [(driver + times.worker_start, k, 0, 0.0) for k in range(workers)]
            death = driver + _draw(draw, failing.driver)
            continue
        driver = max(driver, now)
        if brought:
            kept, end = kept + took, max(end, driver)
        if not sizes:
            continue
        size, driver = sizes.pop(), driver + times.dispatch
        takes = (times.wave + size * times.scene) * max(draw.gauss(1, times.spread), 0.2)
        killed, gone = _draw(draw, failing.worker), _draw(draw, failing.machine)
        if min(killed, gone) < takes:
            lost += 1
            sizes.insert(0, size)
            pause = times.worker_start + (failing.back if gone < killed else 0)
            heapq.heappush(events, (driver + min(killed, gone) + pause, worker, 0, 0.0))
        else:
            heapq.heappush(events, (driver + takes, worker, size, takes))
    end += waves * times.opening
    size = scenes * times.scene_bytes + times.shared_bytes
    dollars = price * workers * end / 3600 / scenes * 1000
    return Simulated(end / 3600, kept / (workers * end), lost, waves, size / 1e9, dollars)


def _draw(draw: random.Random, per_hour: float) -> float:
    """Draw the seconds until something happens that happens so often."""
    return draw.expovariate(per_hour) * 3600 if per_hour else float("inf")


def table(
    times: Times,
    counts: Sequence[int] = (1_000, 100_000, 1_000_000),
    workers: Sequence[int] = (1, 8, 64, 512),
    price: float = 0.04,
) -> str:
    """Write a Markdown table of simulated runs, each with failures."""
    lines = [
        "| scenes | workers | time | workers busy | waves lost | files | store | per 1,000 scenes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for count in counts:
        for number in workers:
            found = simulate(count, number, times, Faults(), price=price)
            lines.append(
                f"| {count:,} | {number} | {_duration(found.hours)} | {100 * found.busy:.0f} % | {found.lost:,} |"
                f" {found.files:,} | {found.gigabytes:.2f} GB | ${found.dollars:.3g} |"
            )
    return "\n".join(lines) + "\n"


def _duration(hours: float) -> str:
    return in_short(3600 * hours) if hours < 48 else f"{hours / 24:.1f} d"


def read_times(path: Path) -> Times:
    """Read measured times."""
    return Times(**json.loads(path.read_text())["times"])


def write_times(path: Path, times: Times, facts: dict) -> None:
    """Write measured times with the facts of their measurement."""
    path.write_text(json.dumps({"times": asdict(times)} | facts, indent=1) + "\n")
