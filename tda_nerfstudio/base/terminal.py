"""What is said on the terminal: our own words, at the terminal's own width."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from tda_nerfstudio.base.errors import TdaError

CONSOLE = Console()
"""Ours; nerfstudio's own is 120 columns wide on any terminal."""


@contextmanager
def clear_errors() -> Iterator[None]:
    """Show an error that a user can act on as its message alone, and leave with exit code 1."""
    try:
        yield
    except TdaError as error:
        CONSOLE.print(Panel(escape(str(error)), title="[bold red]Stopped[/bold red]", border_style="red", expand=False))
        for command in getattr(error, "__notes__", ()):  # outside the frame, so that it can be copied
            CONSOLE.print(f"  {command}", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(1) from None


def warn(text: str, *options: str) -> None:
    """Say what cannot be missed; options to copy follow outside the frame, in one piece."""
    CONSOLE.print(Panel(escape(text), title="[bold yellow]Mind[/bold yellow]", border_style="yellow", expand=False))
    for option in options:
        CONSOLE.print(f"  {option}", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def hushed() -> Iterator[None]:
    """Keep from the terminal what nerfstudio says of its own affairs; our own words, through CONSOLE, are heard.

    Where an unforeseen error or nerfstudio itself ends the command, all that was said is shown. One may be inside
    another.
    """
    said, outer = io.StringIO(), CONSOLE._file
    CONSOLE.file = outer or sys.stdout
    try:
        with redirect_stdout(said):
            yield
    except TdaError:
        raise
    except (Exception, SystemExit):
        sys.stdout.write(said.getvalue())
        raise
    finally:
        CONSOLE.file = outer  # type: ignore[assignment]  # None: whatever sys.stdout is by then
