"""Progress bars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Iterate over items with a progress bar, which disappears at the end. Nothing is shown outside terminals."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import track

    console = Console()
    watched = console.is_interactive or console.is_jupyter
    if isinstance(items, Sized) and not len(items):
        return
    yield from track(items, escape(description), total, transient=True, console=console, disable=not watched)
