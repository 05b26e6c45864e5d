"""Views as files describe them, not checked yet, and the paths by which files name images."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tda_nerfstudio.atlas.images import IMAGE_SUFFIXES
from tda_nerfstudio.base.errors import TdaError


@dataclass(frozen=True)
class Frame:
    """A view as a file describes it: `camera` has transforms.json's keys, `matrix` OpenGL axes."""

    name: str
    """Its image's path inside the scene folder."""
    matrix: Any
    camera: Mapping[str, Any]
    source: str
    """The file that holds its pose."""
    camera_source: str
    """The file that holds its camera."""
    found: bool = False
    """Whether the file names its image by an absolute path, so that it was looked for in the scene folder."""


def is_absolute(file_path: Any) -> bool:
    """Say whether a file names a path from a root or a drive."""
    path = str(file_path).replace("\\", "/")
    return path.startswith("/") or ":" in path.partition("/")[0]


def relative(folder: Path, file_path: Any, source: str, key: str = "file_path") -> str:
    """Normalise an image's path inside the scene folder, with its suffix; refuses one that leads out of it.

    An absolute path, as from another machine, stands for the file in this folder whose path ends in the same way.
    """
    if not isinstance(file_path, str) or not file_path.strip("./") or not _is_possible(file_path):
        raise TdaError(f"{source}: {key} {file_path!r} is not a file path.")
    path: PurePosixPath | None = PurePosixPath(file_path.replace("\\", "/"))
    if is_absolute(file_path) and ".." not in path.parts:
        path = _within(folder, path)
    if path is None or ".." in path.parts:
        raise TdaError(f"{source}: {key} '{file_path}' leads out of the scene folder and is refused. Make it relative.")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return str(path)
    if found := _with_suffix(folder / path):
        return str(path) + found
    if re.fullmatch(r"\.[A-Za-z][A-Za-z0-9]{1,4}", path.suffix):
        known = " ".join(IMAGE_SUFFIXES)
        raise TdaError(
            f"{source}: {key} '{path}': format {path.suffix} is not supported. Convert it to one of {known}."
        )
    return f"{path}.png"


def inside(folder: Path, *names: str) -> list[Path]:
    """Join each name to the scene folder; refuses a link that leads out of it."""
    root, paths = os.path.realpath(folder) + os.sep, []
    for name in names:
        paths.append(folder / name)
        if not os.path.realpath(paths[-1]).startswith(root):
            raise TdaError(
                f"'{name}' is a link that leads out of the scene folder and is refused. Copy the file there."
            )
    return paths


def _is_possible(name: str) -> bool:
    """Say whether a file can have this name (JSON can hold halves of characters)."""
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def _with_suffix(path: Path) -> str:
    """Find the suffix with which the file exists; empty if there is none."""
    suffixes = (spelt for suffix in IMAGE_SUFFIXES for spelt in (suffix, suffix.upper()))
    return next((suffix for suffix in suffixes if path.with_name(path.name + suffix).is_file()), "")


def _within(folder: Path, path: PurePosixPath) -> PurePosixPath | None:
    """Find the longest end of a path that is a file in a folder; else the file of that name in one sub-folder."""

    def there(end: PurePosixPath) -> bool:
        return (folder / end).is_file() or bool(_with_suffix(folder / end))

    for start in range(1, len(path.parts)):
        if there(end := PurePosixPath(*path.parts[start:])):
            return end
    folders = [other.name for other in folder.iterdir() if other.is_dir() and not other.name.startswith("mask")]
    ends = [end for name in folders if there(end := PurePosixPath(name, path.name))]
    return ends[0] if len(ends) == 1 else None
