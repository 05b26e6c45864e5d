"""Progress bars of whatever takes its time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Go through items behind a bar that is gone afterwards; where nobody watches, a file say, nothing is shown."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import track

    console = Console()
    watched = console.is_interactive or console.is_jupyter
    if isinstance(items, Sized) and not len(items):
        return
    yield from track(items, escape(description), total, transient=True, console=console, disable=not watched)
