"""Ctrl-C and SIGTERM as requests to stop soon, so that long jobs can save first.

What follows is the job's own: `ask_to_stop` of plugin/tda_trainer.py, and studies/pretrain.py.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def signals_deferred(note: Callable[[int], None]) -> Iterator[None]:
    """Pass the number of the first Ctrl-C or SIGTERM to `note`; a second one acts at once."""

    def ask(number: int, frame: FrameType | None) -> None:
        for kind, handler in before.items():
            signal.signal(kind, handler)
        note(number)

    before = {kind: signal.signal(kind, ask) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
