"""What an engine tells of a wave that it was given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from tda_nerfstudio.engine.plan import Job
from tda_nerfstudio.engine.work import Report


class Outcome(NamedTuple):
    """A wave came back from a worker, or did not."""

    job: Job
    kind: Literal["done", "failed", "killed", "machine"]
    """failed: an error while it was learnt; killed: its worker died; machine: its machine died or cannot work."""
    report: Report | None = None
    reason: str = ""
    where: str = ""
    """The machine, if it is known."""


Engine = Callable[["list[Job]"], Iterator[Outcome | None]]
"""Learns the waves of a list, which may grow meanwhile, and yields what became of each, and None while it waits."""
