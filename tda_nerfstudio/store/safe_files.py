"""Reading and writing the files of a store: names that are safe, damage that is named, disks that are full."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tda_nerfstudio.base.atomic import replace_file
from tda_nerfstudio.base.errors import StoreError
from tda_nerfstudio.base.names import NAMES, is_safe
from tda_nerfstudio.base.places import FULL, PlaceError, is_remote

NETWORK = ("botocore", "aiobotocore", "aiohttp", "asyncio", "s3fs", "gcsfs", "fsspec")
"""Packages whose errors say nothing about a file, but that it was not reached."""


def check_name(name: object, where: Path) -> str:
    """Return a scene's name that is safe as a file's name. Raises StoreError for any other."""
    if not is_safe(name):
        raise StoreError(
            f"{where} names a scene {str(name)[:60]!r}, which could not be a file's name: {NAMES}. Rename that scene."
        )
    return str(name)


@contextmanager
def damage_named(path: Path, what: str) -> Iterator[None]:
    """Turn any error while a file is read into a StoreError that names the file."""
    try:
        yield
    except (StoreError, PlaceError):
        raise
    except Exception as error:
        if is_remote(path) and (isinstance(error, OSError) or type(error).__module__.startswith(NETWORK)):
            raise PlaceError(f"{path} cannot be read now ({type(error).__name__}: {str(error)[:200]}).") from error
        raise StoreError(
            f"{what} {path} cannot be read ({type(error).__name__}: {str(error)[:200]}). Restore it, or remove it and"
            " learn its scenes again."
        ) from error


def write_whole(path: Path, size: int, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` put `size` bytes into a new file, which appears when it is complete.

    Raises StoreError that says how much room is missing when the disk is full.
    """
    try:
        replace_file(path, write)
    except OSError as error:
        if error.errno not in FULL:
            raise
        free = shutil.disk_usage(path.parent).free
        missing = f"{max(size - free, 1) / 2**20:.1f} MiB more are needed" if size > free else "its quota is used up"
        raise StoreError(
            f"There is no room in {path.parent}: {missing} ({size / 2**20:.1f} MiB to write, {free / 2**20:.1f} MiB"
            " free). What was there is untouched. Make room and run the same command again."
        ) from error
