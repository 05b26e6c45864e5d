"""Write files atomically: a reader finds the old file or the complete new one."""

from __future__ import annotations

import io
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.places import has_file, is_remote, reached


def require_writable(folder: Path) -> None:
    """Raise TdaError unless files can be written below a folder, which need not exist yet."""
    if is_remote(folder):
        with reached(folder):
            probe = folder / f".{uuid.uuid4().hex}.tmp"
            probe.write_bytes(b"")
            probe.unlink()
        return
    try:
        parent = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise TdaError(
            f"Nothing can be written to {folder} ({error.strerror}). Name another folder, or make this one writable."
        ) from error


def replace_file(path: Path, write: Callable[[IO[bytes]], object], beside: Path | None = None) -> None:
    """Let `write` fill a temporary file, then move it to `path`.

    The temporary file is in the same folder, or in `beside`, which must be on the same disk. Raises OSError when the
    file cannot be written; the old one is then unchanged. In a bucket, one request writes the whole file.
    """
    if is_remote(path):
        content = io.BytesIO()
        write(content)
        with reached(path):
            path.write_bytes(content.getvalue())
        return
    with _written(path, write, beside or path.parent) as temporary:
        temporary.replace(path)


def create_file(path: Path, content: bytes) -> bool:
    """Write a new file; returns False, and changes nothing, where there is one. Of several at once, one wins.

    Raises TdaError where it cannot be written.
    """
    if is_remote(path):
        with reached(path):
            try:
                path.fs.pipe_file(path.path, content, mode="create")  # type: ignore[attr-defined]
            except OSError:
                if not has_file(path):
                    raise
                return False
        return True
    try:
        with _written(path, lambda file: file.write(content), path.parent) as temporary:
            try:
                path.hardlink_to(temporary)
            except OSError:  # it is there, or the disk has no hard links
                if path.exists():
                    return False
                temporary.replace(path)
    except OSError as error:
        raise TdaError(f"{path} cannot be written ({error}). Make room there, or make it writable.") from error
    return True


@contextmanager
def _written(path: Path, write: Callable[[IO[bytes]], object], folder: Path) -> Iterator[Path]:
    """Write the whole of a file for `path` into a temporary one in a folder, which is gone after the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{path.name}.{uuid.uuid4().hex}.tmp"  # machines may share numbers of processes
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a text file, in UTF-8."""
    replace_file(path, lambda file: file.write(text.encode()))


def save_tensors(path: Path, content: Any) -> None:
    """Replace a torch file in a checkpoint folder.

    The temporary file is beside that folder, since nerfstudio takes every file in it for a checkpoint.
    """
    import torch  # takes seconds, and making atlases does not need it

    replace_file(path, lambda file: torch.save(content, file), beside=path.parent.parent)
