"""The folder of a gallery: whether it is ours, what is written into it, what is removed from it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path

from tda_nerfstudio.base.atomic import replace_file, require_writable
from tda_nerfstudio.base.errors import TdaError, listed
from tda_nerfstudio.looking.gallery.addresses import clean
from tda_nerfstudio.looking.gallery.exports import FOLDER

MARK = "gallery.json"
FORMAT = "tda gallery 1"
PAGES = "scenes"
"""Folder of the scenes' pages and pictures."""
MADE = "made"
"""Folder of notes, for the next run, on what was rendered."""
OURS = re.compile(r"[a-z0-9_.-]+(\.[0-9a-f]{12}(\.\d+)?\.webp|\.html|\.json)|\..+\.[0-9a-f]{32}\.tmp")
"""Names of files that galleries hold in PAGES and MADE; nothing else is ever removed."""


def claim(out: Path, shared: str) -> None:
    """Make a folder that of a gallery of the store with these shared parts, or take it where it is one already.

    Raises TdaError, and changes nothing, for a folder that holds anything else, or the gallery of another store.
    """
    if out.exists() and not out.is_dir():
        raise TdaError(f"{out} is a file. Name a folder for the gallery, a new one or an earlier gallery.")
    known = _mark(out)
    if known is None and out.is_dir():
        others = sorted(path.name for path in out.iterdir() if path.name != FOLDER)
        if others:
            raise TdaError(
                f"{out} is no gallery and not empty ({listed(others, 'file')}): nothing was written. Name a new"
                " folder, or an earlier gallery to bring up to date."
            )
    if known is not None and known != shared:
        raise TdaError(
            f"{out} is the gallery of another store, whose shared parts are {known[:64]}, not {shared}. Name another"
            " folder, or remove this one first."
        )
    require_writable(out)
    if known is None:
        about = {"format": FORMAT, "shared": shared, "about": "Open index.html. `tda gallery` brings it up to date."}
        put_text(out / MARK, json.dumps(about, indent=1) + "\n")


def put(path: Path, content: bytes) -> None:
    """Write a file unless it has this content already. Raises TdaError where it cannot be written."""
    try:
        if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
            return
        replace_file(path, lambda file: file.write(content))
    except OSError as error:
        raise TdaError(
            f"{path} cannot be written ({error.strerror or error}). Make room or make it writable, and run the same"
            " line again: it goes on."
        ) from error


def put_text(path: Path, text: str) -> None:
    """Write a text as `put` does; what UTF-8 cannot hold, such as half of a pair of surrogates, becomes "?"."""
    put(path, clean(text).encode())


def sweep(folder: Path, keep: Collection[str]) -> None:
    """Remove files of ours that are not to be kept, such as those of scenes that are gone."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in keep and OURS.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def _mark(out: Path) -> str | None:
    """Return the shared parts that a gallery names, or None for what is no gallery."""
    try:
        content = json.loads((out / MARK).read_bytes())
        return str(content["shared"]) if content["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
