"""Progress bars."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
Tell = Callable[[str, float], None]
"""Takes what is done, in words, and how far it is, from 0 to 1."""
_telling: list[Tell] = []


@contextmanager
def progress_to(tell: Tell) -> Iterator[None]:
    """In this block, let `track` tell its progress and draw nothing: for jobs that are part of a longer one."""
    _telling.append(tell)
    try:
        yield
    finally:
        _telling.pop()


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Iterate over items with a progress bar, which disappears at the end. Nothing is shown outside terminals."""
    if isinstance(items, Sized):
        if not len(items):
            return
        total = total or len(items)
    if _telling:
        for done, item in enumerate(items):
            _telling[-1](description, done / total if total else 0.0)
            yield item
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import track

    console = Console()
    watched = console.is_interactive or console.is_jupyter
    yield from track(items, escape(description), total, transient=True, console=console, disable=not watched)
