"""Write files so that whoever looks finds the old one or the new one, whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch


def _replace(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not a name that nerfstudio would take for a checkpoint: it reads every file in its folder, so write beside it.
    temporary = path.parent.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a text file."""
    _replace(path, lambda file: file.write(text.encode()))


def save_tensors(path: Path, content: Any) -> None:
    """Replace a torch file."""
    _replace(path, lambda file: torch.save(content, file))
