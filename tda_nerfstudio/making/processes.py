"""Do many independent tasks in processes of their own, behind a progress bar."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.progress import track


def in_processes(work: Callable, tasks: Iterable, workers: int | None, description: str) -> Iterator[Any]:
    """Give the results of all tasks in the order in which they end; with one worker or task, in this process.

    Raises TdaError when a process dies.
    """
    tasks = list(tasks)
    count = min(workers or os.cpu_count() or 1, len(tasks))
    if count <= 1:
        yield from track(map(work, tasks), description, len(tasks))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        try:
            futures = [pool.submit(work, task) for task in tasks]
            yield from (future.result() for future in track(as_completed(futures), description, len(futures)))
        except BrokenProcessPool as error:
            raise TdaError(
                "A process died, likely for want of memory. Repeat the command: what is done stays."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)
