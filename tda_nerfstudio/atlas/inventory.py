"""The scenes of an atlas by name, found without reading any: on a disk or in a bucket, a hundred thousand of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from tda_nerfstudio.atlas.atlas import scene_folders
from tda_nerfstudio.atlas.images import IMAGE_SUFFIXES
from tda_nerfstudio.atlas.layouts.scene import LAYOUTS, has_layout
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.places import fetch, is_remote, link_or_copy, reached
from tda_nerfstudio.base.progress import track

DATA_VARIABLE = "TDA_DATA"
"""Environment variable that says where a machine has the atlas."""


def data_here(data: Path) -> Path:
    """Say where this machine has an atlas: where $TDA_DATA says, else at the same path."""
    moved = os.environ.get(DATA_VARIABLE)
    return Path(moved).expanduser() if moved and not is_remote(data) else data


class Inventory:
    """Where the scenes of an atlas are, in sorted order.

    With `names`, nothing else is looked at, and those that are not there are left out. Otherwise raises TdaError for a
    folder that has no scene.
    """

    def __init__(self, root: Path, names: Collection[str] | None = None) -> None:
        self.root = root if is_remote(root) else Path(os.path.normpath(root.expanduser().absolute()))
        self._listed: dict[str, list[tuple[str, int]]] = {}
        if is_remote(self.root):
            with reached(self.root):
                self._listed = _listed(self.root, names)
            self.folders = {name: self.root / name for name in sorted(self._listed)}
            if not self.folders and names is None:
                raise TdaError(f"{self.root} holds no scene. Give a folder with one sub-folder per scene.")
        elif names is None or (self.root.name in names and has_layout(self.root)):
            self.folders = scene_folders(self.root)
        else:
            self.folders = {name: self.root / name for name in sorted(names) if (self.root / name).is_dir()}

    def prints(self, names: Collection[str]) -> dict[str, str]:
        """Give each scene's fingerprint, of the paths and sizes of its files; "" for a scene that is not there.

        It is the same for a copy. It changes when images are added, taken away or rendered anew.
        """
        return {name: self._print(name) for name in track(list(names), "Looking at the atlas")}

    def _print(self, name: str) -> str:
        if name not in self.folders:
            return ""
        files = self._listed[name] if is_remote(self.root) else _walked(self.folders[name])
        return fingerprint(files)

    def stage(self, names: Iterable[str], into: Path) -> Path:
        """Put some scenes into a new folder of this machine, named as the atlas: links, or copies from a bucket."""
        folder = into / (self.root.name or "atlas")
        folder.mkdir(parents=True)
        for name in names:
            if is_remote(self.root):
                with reached(self.root):
                    fetch(self.folders[name], [path for path, _ in self._listed[name]], folder / name)
            else:
                link_or_copy(self.folders[name], folder / name)
        return folder


def fingerprint(files: Iterable[tuple[str, int]]) -> str:
    """Hash the paths and sizes of a scene's files."""
    lines = "\n".join(f"{size} {path}" for path, size in sorted(files))
    return hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()[:16]


def _walked(folder: Path) -> list[tuple[str, int]]:
    """List a scene's files with their sizes. Hidden ones, and what cannot be looked at, are passed over."""
    found, waiting = [], [""]
    while waiting:
        below = waiting.pop()
        try:
            entries = list(os.scandir(folder / below))
        except OSError:
            continue
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            if entry.name.startswith("."):
                continue
            with suppress(OSError):  # a link that leads nowhere, or in a circle
                if entry.is_dir():
                    waiting.append(path)
                else:
                    found.append((path, entry.stat().st_size))
    return found


def _listed(root: Path, names: Collection[str] | None) -> dict[str, list[tuple[str, int]]]:
    """List the files of scenes in a bucket with their sizes, in one sweep where no names are given."""
    start = root.path.rstrip("/") + "/"  # type: ignore[attr-defined]
    scenes: dict[str, list[tuple[str, int]]] = {}
    found: dict[str, dict] = {}
    for below in [""] if names is None else [f"{name}/" for name in names]:
        found |= root.fs.find(start + below, detail=True)  # type: ignore[attr-defined]
    for key, facts in found.items():
        name, _, path = key.removeprefix(start).partition("/")
        if all(map(_is_plain, (name, *path.split("/")))):
            scenes.setdefault(name, []).append((path, int(facts["size"])))
    return {name: files for name, files in scenes.items() if any(_is_trace(path) for path, _ in files)}


def _is_plain(part: str) -> bool:
    """Whether a part of a key can be a file's name here, and leads nowhere else. Hidden ones are passed over."""
    return bool(part) and part[0] != "." and part.isprintable() and not set(part) & set("\\:")


def _is_trace(path: str) -> bool:
    """Whether a file inside a folder tells that this is meant as a scene."""
    traces = {trace for layout in LAYOUTS for trace in layout.TRACES}
    first = PurePosixPath(PurePosixPath(path).parts[0])
    return any(map(first.match, traces)) or (str(first) == path and first.suffix.lower() in IMAGE_SUFFIXES)
