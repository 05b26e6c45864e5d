"""What is shown while a plan is learnt: one line with a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from statistics import fmean

from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from tda_nerfstudio.base.errors import counted
from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.learning.forecast import in_short

OFTEN = 0.5
"""Seconds between pictures while a wave is learnt."""
SELDOM = 60.0
"""Seconds between lines where there is no terminal, as in the log of a job."""


class Board:
    """Counts what is done, and shows it."""

    def __init__(self, total: int, before: Mapping[str, float | None], aside: Collection[str]) -> None:
        """`total` counts the scenes of the plan, `before` has the PSNR of those that are learnt already."""
        self.total, self.psnr, self.aside = total, dict(before), set(aside)
        self.new, self.lost, self.within = 0, 0, 0.0
        """Scenes that this process has learnt, workers lost meanwhile, and the part of a wave that is done."""
        self.began = self.told = self.drawn = time.monotonic()

    @property
    def done(self) -> int:
        """Count the scenes that are learnt or set aside."""
        return len(self.psnr) + len(self.aside)

    @property
    def quality(self) -> float | None:
        """Mean PSNR of the scenes that have one, in dB."""
        found = [psnr for psnr in self.psnr.values() if psnr is not None]
        return fmean(found) if found else None

    @property
    def rate(self) -> float:
        """Scenes per second since the start."""
        return (self.new + self.within) / max(time.monotonic() - self.began, 1e-9)

    def line(self) -> str:
        """Say how far it is in at most 76 characters."""
        parts = [f"{self.done:,}/{self.total:,} scenes"]
        if self.new + self.within:
            left = self.total - self.done - self.within
            parts += [f"{self.rate:.2g}/s" if self.rate < 10 else f"{self.rate:.0f}/s"]
            parts += [f"{in_short(left / self.rate)} left"] if left > 0 else []
        if (quality := self.quality) is not None:
            parts.append(f"{quality:.2f} dB")
        parts += [f"{len(self.aside)} set aside"] if self.aside else []
        parts += [f"{self.lost} lost"] if self.lost else []
        return ", ".join(parts)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show it in this block."""
        columns = TextColumn("{task.description}"), BarColumn(bar_width=None)
        with Progress(*columns, console=CONSOLE, transient=True, disable=not CONSOLE.is_terminal) as bar:
            task = bar.add_task(self.line(), total=self.total, completed=self.done)
            self._draw = lambda: bar.update(task, description=self.line(), completed=self.done + self.within)
            yield

    def update(self, now: bool = True) -> None:
        """Show how far it is; without `now`, only if that was not shown just before."""
        if not now and time.monotonic() - self.drawn < OFTEN:
            return
        self.drawn = time.monotonic()
        if CONSOLE.is_terminal:
            self._draw()
        elif time.monotonic() - self.told > SELDOM:
            self.told = time.monotonic()
            CONSOLE.print(self.line(), markup=False, highlight=False, soft_wrap=True)


def summary(board: Board, reasons: Mapping[str, str], seconds: Mapping[str, float], store: str) -> Table:
    """Sum up in a table what was done. `seconds` has the medians of what the parts of a wave took."""
    table = Table(show_header=False, title=f"Store {store}", title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("learnt now", f"{counted(board.new, 'scene')} in {in_short(time.monotonic() - board.began)}")
    table.add_row("in the store", f"{len(board.psnr):,} of the plan's {counted(board.total, 'scene')}")
    if board.quality is not None:
        table.add_row("PSNR", f"{board.quality:.2f} dB on held-out views")
    if seconds:
        table.add_row("median of a wave", ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items()))
    if board.lost:
        table.add_row("lost and repeated", counted(board.lost, "wave"))
    if reasons:
        first = list(reasons.items())[:8]
        more = [f"... and {len(reasons) - 8} more in {store}/quarantine"] * (len(reasons) > 8)
        table.add_row("set aside", "\n".join([f"{name}: {reason}" for name, reason in first] + more))
    return table
