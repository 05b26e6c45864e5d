"""Claims on folders, in each of which only one process may work at a time."""

from __future__ import annotations

import os
from pathlib import Path

from tda_nerfstudio.base.errors import TdaError

_HELD: dict[Path, int | None] = {}
"""Folders that this process holds, each with an open file. The system closes it when the process ends in any way."""


def claim(folder: Path, new: bool) -> bool:
    """Make a folder and hold it until this process ends. Returns False if it must be `new` and is there already.

    Raises TdaError if another process holds it. That is not noticed on Windows and on file systems without locks.
    """
    try:
        folder.mkdir(parents=True, exist_ok=not new)
    except FileExistsError:
        if new:
            return False
        raise TdaError(f"{folder} is no folder. Name another one, or remove that file.") from None
    if folder not in _HELD:
        _HELD[folder] = _lock(folder)
    return True


def _lock(folder: Path) -> int | None:
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    file = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise TdaError(
            f"Another process is at work in {folder}. Wait until it ends or stop it; a run of another name"
            " (--timestamp) starts beside it."
        ) from None
    except OSError:  # a file system without locks
        os.close(file)
        return None
    return file


def release(folder: Path) -> None:
    """Release a folder that this process holds. It and the two folders above it are removed if they are empty."""
    if folder not in _HELD:
        return
    file = _HELD.pop(folder)
    if file is not None:
        os.close(file)
    for path in (folder, *folder.parents[:2]):
        try:
            path.rmdir()
        except OSError:  # it is not empty
            return
