"""The scene store: a folder of learnt scenes that opens anywhere, in a year, without what it was made from."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from tda_nerfstudio.base.atomic import write_text
from tda_nerfstudio.base.errors import StoreError, listed, suggest
from tda_nerfstudio.core.cameras import View, orbit
from tda_nerfstudio.core.view import Size, image_size
from tda_nerfstudio.store.learnt_scene import LearntScene, PackedScenes, Record
from tda_nerfstudio.store.precision import Precision
from tda_nerfstudio.store.scene_files import (
    SUFFIX,
    TOGETHER,
    SceneFile,
    check_name,
    damage_named,
    write_packed,
    write_scenes,
)
from tda_nerfstudio.store.shared_parts import Manifest, SharedParts, read_shared_parts
from tda_nerfstudio.store.stored_scene import StoredScene, mean_psnr

SCENES, ASIDE = "scenes", "quarantine"
LONGEST_NOTE = 1 << 20
STALE = 3600
"""Seconds after which a file that is still being written belongs to nobody."""


class Store(Mapping[str, StoredScene]):
    """Scenes by name. The folder is the index: whoever adds a file of scenes adds scenes, and no file ever changes.

    Where two files hold a scene of the same name, the one written last counts. Scenes are rendered on `device`: by
    default a GPU where there is one, else the CPU.
    """

    def __init__(self, folder: Path | str, device: torch.device | str | None = None) -> None:
        self.folder = Path(folder)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.manifest = Manifest.read(self.folder)
        self.files: list[SceneFile] = []
        self.damaged: list[StoreError] = []
        for path in sorted((self.folder / SCENES).glob(f"*{SUFFIX}")):
            try:
                self.files.append(SceneFile(path, self.manifest.hash, self.manifest.config.triplane))
            except StoreError as error:
                self.damaged.append(error)
        self._index()

    def __repr__(self) -> str:
        names, camera = self.names, self.manifest.camera
        facts = [f"{len(names)} scene{'' if len(names) == 1 else 's'} of {camera.width} x {camera.height} pixels"]
        facts += mean_psnr([self.record(name) for name in names])
        shown = f": {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}" if names else ""
        return f"<Store {str(self.folder)!r}: {', '.join(facts)}{shown}>"

    @property
    def names(self) -> list[str]:
        """The scenes' names, in alphabetical order."""
        return sorted(self._where)

    @cached_property
    def shared(self) -> SharedParts:
        """The shared parts on the CPU, read when first needed."""
        return read_shared_parts(self.folder)

    @cached_property
    def _shown_with(self) -> SharedParts:
        """The shared parts on the store's device."""
        return self.shared.to(self.device)

    def __contains__(self, name: object) -> bool:
        return name in self._where

    def __len__(self) -> int:
        return len(self._where)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __getitem__(self, name: str) -> StoredScene:
        """Read a scene. Raises StoreError for an unknown name and for a damaged file."""
        learnt = self.file(name).load(name)
        return StoredScene(self._shown_with, self.manifest.camera, learnt)

    def record(self, name: str) -> Record:
        """Tell what is known of a scene without reading it."""
        return self.file(name).record(name)

    def add(self, scenes: Sequence[LearntScene], precision: Precision = "int4") -> Path:
        """Write scenes into one new file; nothing that was there changes. Scenes of known names replace the old."""
        return self._noted(write_scenes(self.folder / SCENES, self.manifest.hash, scenes, precision))

    def take(self, other: Store, names: Collection[str]) -> None:
        """Take over scenes of a store with the same shared parts, to the bit; those of known names replace the old.

        Files whose every scene is wanted are copied whole, the others' scenes come together in new ones. Raises
        StoreError for other shared parts and for an unknown name, before anything is written.
        """
        if other.manifest.hash != self.manifest.hash:
            raise StoreError(
                f"{other.folder} has the shared parts {other.manifest.hash}, and {self.folder} has"
                f" {self.manifest.hash}: its scenes would show something else there. Learn them again with the"
                " parts of this store."
            )
        wanted: dict[SceneFile, list[str]] = {}
        for name in dict.fromkeys(names):
            wanted.setdefault(other.file(name), []).append(name)
        loose: dict[Precision, list[tuple[SceneFile, str]]] = {}
        for file, own in wanted.items():
            if set(own) == set(file.names) and all(self._would_count(file, name) for name in own):
                self._noted(file.copy(self.folder / SCENES))
            else:
                loose.setdefault(file.precision, []).extend((file, name) for name in own)
        for pairs in loose.values():
            for i in range(0, len(pairs), TOGETHER):
                together = PackedScenes.join([file.packed([name]) for file, name in pairs[i : i + TOGETHER]])
                self._noted(write_packed(self.folder / SCENES, self.manifest.hash, together))

    def _would_count(self, file: SceneFile, name: str) -> bool:
        return name not in self or self.file(name).age <= file.age

    def _noted(self, path: Path) -> Path:
        """Take a file of scenes that was just written into account."""
        file = SceneFile(path, self.manifest.hash, self.manifest.config.triplane)
        self.files = [known for known in self.files if known.path != path] + [file]
        self._index()
        for record in file.records:
            if record.finished:
                self._note(record.name).unlink(missing_ok=True)
        return path

    def put_aside(self, name: str, reason: str, provenance: Mapping[str, Any]) -> None:
        """Note why a scene could not be learnt; the note goes when the scene is added after all."""
        check_name(name, self.folder)
        content = {"scene": name, "reason": reason, "provenance": dict(provenance)}
        write_text(self._note(name), json.dumps(content, indent=1) + "\n")

    def aside(self) -> dict[str, str]:
        """List the scenes that could not be learnt, with the reasons. Raises StoreError for a damaged note."""
        found = {}
        for path in sorted((self.folder / ASIDE).glob("*.json")):
            with damage_named(path, "The note"):
                note = json.loads(path.read_bytes()[:LONGEST_NOTE])
                found[check_name(note["scene"], path)] = str(note["reason"])
        return found

    def _note(self, name: str) -> Path:
        return self.folder / ASIDE / f"{name}.json"

    def remove(self, *names: str) -> None:
        """Take scenes out; others of their files move to new ones first, to the bit. Raises StoreError if unknown."""
        for name in names:
            self.file(name)
        for file in [file for file in self.files if not set(names).isdisjoint(file.names)]:
            others = [other for other in file.names if other not in names and self._where[other] is file]
            if others:
                self._noted(write_packed(self.folder / SCENES, self.manifest.hash, file.packed(others)))
            file.path.unlink(missing_ok=True)
            self.files.remove(file)
        self._index()

    def prune(self) -> None:
        """Delete the files whose every scene was written again later, and what killed writers left an hour ago."""
        for path in (self.folder / SCENES).glob(".*.tmp"):
            if time.time() - path.stat().st_mtime > STALE:
                path.unlink(missing_ok=True)
        for file in [file for file in self.files if not any(self._where[name] is file for name in file.names)]:
            file.path.unlink(missing_ok=True)
            self.files.remove(file)

    def verify(self) -> list[StoreError]:
        """Read everything and check every hash; return what is wrong."""
        found = list(self.damaged)
        checks = [lambda: self.shared, *(file.check for file in self.files)]
        for check in checks:
            try:
                check()
            except StoreError as error:
                found.append(error)
        return found

    def size(self) -> int:
        """Count the bytes of the whole folder."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def orbit(self, count: int, elevation: float = 18.0, size: Size | None = None) -> View:
        """Place cameras on a full turn around the box, as far away as the ones that scenes were learnt from.

        Images have the size of those, or (width, height) pixels, or as many both ways.
        """
        camera, centre = self.manifest.camera, self.shared.scenes.box.mean(0)
        view = orbit(count, camera.distance, elevation, camera.focal, (camera.width, camera.height), centre)
        return view if size is None else view.resized(*image_size(size))

    def file(self, name: str) -> SceneFile:
        """Find the file that holds a scene. Raises StoreError for an unknown name."""
        if name not in self._where:
            raise StoreError(f"{self.folder} ({listed(self.names)}) holds no scene '{name}'.{suggest(str(name), self)}")
        return self._where[name]

    def _index(self) -> None:
        ordered = sorted(self.files, key=lambda file: file.age)
        self._where = {name: file for file in ordered for name in file.names}
