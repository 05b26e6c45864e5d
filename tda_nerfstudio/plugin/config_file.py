"""Which config.yml is being read, and by which command. A configuration that is loaded is not told."""

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
    """Remember, inside the context, which config.yml this package reads."""
    token = _OPENING.set(path)
    try:
        yield
    finally:
        _OPENING.reset(token)


def errors_shown() -> AbstractContextManager[None]:
    """Return a context that shows errors as messages if a command of nerfstudio opens a run. Else they are raised."""
    return nullcontext() if _OPENING.get() is not None or on_command_line() is None else clear_errors()


def on_command_line() -> Path | None:
    """Return the path of the config.yml that an ns-* command loads, or None."""
    for word, following in zip(sys.argv, [*sys.argv[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name.replace("_", "-") == "--load-config":
            path = Path(value if equals else following).absolute()
            return path if path.is_file() else None
    return None


def being_read() -> Path | None:
    """Return the path of the config.yml that is being read, or None if that is not known."""
    path = _OPENING.get()
    return on_command_line() if path is None else path.absolute()
