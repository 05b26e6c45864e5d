"""Write files so that whoever looks finds the old one or the new one, whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch


def replace_file(path: Path, write: Callable[[IO[bytes]], object], beside: Path | None = None) -> None:
    """Let `write` fill a temporary file in the same folder (or in `beside`), then put it in the place of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = (beside or path.parent) / f".{path.name}.{os.getpid()}.tmp"
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
    replace_file(path, lambda file: file.write(text.encode()))


def save_tensors(path: Path, content: Any) -> None:
    """Replace a torch file in a folder that may hold nothing else: nerfstudio takes all it finds for checkpoints."""
    replace_file(path, lambda file: torch.save(content, file), beside=path.parent.parent)
