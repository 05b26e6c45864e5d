"""Folders on this machine and in buckets (`s3://`, `gs://`): both are paths, which the same code reads and writes."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, cast

from tda_nerfstudio.base.errors import TdaError


class PlaceError(TdaError):
    """A bucket that cannot be used, now at least."""


EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
"""The extra of this package that each kind of bucket needs."""
FULL = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of the errors of a full disk, which is on this machine."""
PATIENCE = {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 3}}
"""How long an S3 server may take, in seconds, and how often it is asked."""


def place(name: Path | str) -> Path:
    """Make a path from a local one, where ~ is a user's home, or from an address such as s3://bucket/folder.

    Raises TdaError for an address of an unknown kind, and where a package for it is missing.
    """
    if not isinstance(name, str):
        return name
    kind, found, _ = name.partition("://")
    if not found:
        return Path(name).expanduser()
    if kind == "file":
        return Path(name.removeprefix("file://"))
    if kind not in EXTRAS:
        raise TdaError(f"{name} is of a kind that is not known. Give a folder, or s3://BUCKET/FOLDER or gs://...")
    options: dict[str, Any] = {"use_listings_cache": False}  # other machines write there too
    if EXTRAS[kind] == "s3":
        options["config_kwargs"] = PATIENCE
    try:
        from upath import UPath

        folder = UPath(name.rstrip("/"), **options)
        _ = folder.fs  # type: ignore[attr-defined]  # imports what it needs
    except ImportError as error:
        raise TdaError(
            f"{name} needs packages that are not installed ({error}). Run: pip install 'tda-nerfstudio[{EXTRAS[kind]}]'"
        ) from error
    return cast(Path, folder)


def is_remote(path: Path) -> bool:
    """Whether a path is in a bucket."""
    return not isinstance(path, PurePath)


@contextmanager
def reached(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a bucket (no network, no such bucket, no rights) into a PlaceError that says so."""
    try:
        yield
    except TdaError:
        raise
    except Exception as error:
        if not is_remote(path) or (isinstance(error, OSError) and error.errno in FULL):
            raise
        raise PlaceError(
            f"{path} cannot be used ({type(error).__name__}: {str(error)[:200]}). Look at the bucket's name, at your"
            " rights there, and at the server's address and keys (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...)."
        ) from error


def has_file(path: Path) -> bool:
    """Whether there is a file. Raises TdaError for a bucket that cannot be asked."""
    if not is_remote(path):
        return path.is_file()
    with reached(path):
        try:
            return path.fs.info(path.path)["type"] == "file"  # type: ignore[attr-defined]
        except FileNotFoundError:
            return False


def read_range(path: Path, start: int, stop: int) -> bytes:
    """Read some bytes of a file, or fewer where it ends before."""
    if is_remote(path):
        return path.fs.cat_file(path.path, start=start, end=stop)  # type: ignore[attr-defined]
    with path.open("rb") as file:
        file.seek(start)
        return file.read(stop - start)


@contextmanager
def nearby(path: Path) -> Iterator[Path]:
    """Give a file on this machine with the same bytes: the file itself, or for the time of the block a copy."""
    if not is_remote(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(path.read_bytes())
        yield copy


def bytes_in(folder: Path) -> int:
    """Count the bytes of all files in a folder."""
    if is_remote(folder):
        return int(folder.fs.du(folder.path))  # type: ignore[attr-defined]
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def link_or_copy(folder: Path, into: Path) -> None:
    """Link to a folder of this machine, or copy it where links are not allowed."""
    try:
        into.symlink_to(folder.absolute(), target_is_directory=True)
    except OSError:
        shutil.copytree(folder, into)


def fetch(folder: Path, files: Sequence[str], into: Path) -> None:
    """Copy some files of a folder in a bucket, given by their paths in it, to a folder of this machine."""
    theirs, ours = [f"{folder.path}/{file}" for file in files], [str(into / file) for file in files]  # type: ignore[attr-defined]
    folder.fs.get(theirs, ours)  # type: ignore[attr-defined]
