"""Which config.yml is being read, and by whom: a configuration that is loaded cannot see it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path

from tda_nerfstudio.base.terminal import clear_errors

CONFIG = "config.yml"
_OPENING: ContextVar[Path | None] = ContextVar("opening", default=None)


def is_config(path: Path) -> bool:
    """Tell whether a file is a run's config.yml, or by its content a copy of one."""
    if path.name == CONFIG or not path.is_file():
        return path.is_file()
    with path.open("rb") as file:
        return b"!!python/object:" in file.read(4096)


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Say which config.yml this package reads inside."""
    token = _OPENING.set(path)
    try:
        yield
    finally:
        _OPENING.reset(token)


def errors_shown() -> AbstractContextManager[None]:
    """Show errors as their messages where a command of nerfstudio's opens a run; our own callers get them raised."""
    return nullcontext() if _OPENING.get() is not None or on_command_line() is None else clear_errors()


def on_command_line() -> Path | None:
    """Name the file that an ns-* command loads."""
    for word, following in zip(sys.argv, [*sys.argv[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name.replace("_", "-") == "--load-config":
            path = Path(value if equals else following).absolute()
            return path if path.is_file() else None
    return None


def being_read() -> Path | None:
    """Name the config.yml that is being read, as far as that is known."""
    path = _OPENING.get()
    return on_command_line() if path is None else path.absolute()
