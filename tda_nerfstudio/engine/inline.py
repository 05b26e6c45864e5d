"""The engine that needs nothing: waves are learnt in this process, one after the other."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.engine.outcome import Engine, Outcome
from tda_nerfstudio.engine.plan import Job
from tda_nerfstudio.engine.work import Report


def inline(learn: Callable[[Job], Report | None]) -> Engine:
    """Make the engine. `learn` learns a wave; it returns None where it was asked to stop."""

    def run(jobs: list[Job]) -> Iterator[Outcome | None]:
        here = socket.gethostname()
        while jobs:
            job = jobs.pop(0)
            try:
                report = learn(job)
            except TdaError:
                raise
            except Exception as error:  # whatever it is, the other waves go on
                yield Outcome(job, "failed", reason=f"{type(error).__name__}: {error}", where=here)
                continue
            if report is None:
                return
            yield Outcome(job, "done", report, where=here)

    return run
