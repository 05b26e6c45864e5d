"""The scene store: a folder of learnt scenes that opens without nerfstudio, images, checkpoints and config.yml."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from tda_nerfstudio.base.errors import StoreError, counted, listed, suggest
from tda_nerfstudio.base.places import bytes_in, is_remote, place, reached
from tda_nerfstudio.core.cameras import View, orbit
from tda_nerfstudio.core.view import Size, image_size
from tda_nerfstudio.store.aside import put_aside, read_aside, take_back
from tda_nerfstudio.store.learnt_scene import LearntScene, PackedScenes, Record
from tda_nerfstudio.store.manifest import Manifest
from tda_nerfstudio.store.precision import Precision
from tda_nerfstudio.store.scene_files import SUFFIX, TOGETHER, SceneFile, write_packed, write_scenes
from tda_nerfstudio.store.shared_parts import SharedParts, read_shared_parts
from tda_nerfstudio.store.stored_scene import StoredScene, mean_psnr

SCENES = "scenes"
REQUESTS = 16
"""Files that are opened at once in a bucket."""
STALE = 3600
"""Age in seconds from which a temporary file counts as left behind by a process that was killed."""


class Store(Mapping[str, StoredScene]):
    """A mapping from names to scenes. Files of scenes never change, and the scenes are those of all files that exist.

    Where two files hold a scene of the same name, the one written last counts. Scenes render on `device`: by default
    a GPU if there is one, else the CPU. The folder may be an address such as s3://bucket/store. Opening raises
    StoreError for a folder that is no store or has a damaged manifest; damaged files of scenes are left out, with their
    errors in `damaged`.
    """

    def __init__(self, folder: Path | str, device: torch.device | str | None = None) -> None:
        self.folder = place(folder)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        with reached(self.folder):
            self.manifest = Manifest.read(self.folder)
            paths = sorted((self.folder / SCENES).glob(f"*{SUFFIX}"))
        with ThreadPoolExecutor(REQUESTS if is_remote(self.folder) else 1) as pool:
            found = list(pool.map(self._tried, paths))
        self.files = [file for file in found if isinstance(file, SceneFile)]
        self.damaged = [file for file in found if isinstance(file, StoreError)]
        self._index()

    def __repr__(self) -> str:
        names, camera = self.names, self.manifest.camera
        facts = [f"{counted(len(names), 'scene')} of {camera.width} x {camera.height} pixels"]
        facts += mean_psnr([self.record(name) for name in names])
        shown = f": {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}" if names else ""
        return f"<Store {str(self.folder)!r}: {', '.join(facts)}{shown}>"

    @property
    def names(self) -> list[str]:
        """Names of the scenes, in alphabetical order."""
        return sorted(self._where)

    @cached_property
    def shared(self) -> SharedParts:
        """The shared parts on the CPU, read when first needed. Raises StoreError for damaged ones."""
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
        """Return a scene's record without reading its tensors. Raises StoreError for an unknown name."""
        return self.file(name).record(name)

    def add(self, scenes: Sequence[LearntScene], precision: Precision = "int4") -> Path:
        """Write scenes into one new file and return its path; scenes of known names replace the old ones.

        Raises StoreError for an unsafe name, for micro planes without `occupied`, and for a full disk.
        """
        return self._noted(write_scenes(self.folder / SCENES, self.manifest.hash, scenes, precision))

    def take(self, other: Store, names: Collection[str]) -> None:
        """Copy scenes from a store with the same shared parts, bit for bit; known names replace the old scenes.

        Files of which every scene is wanted are copied whole; scenes of other files are put together into new ones.
        Raises StoreError for other shared parts and for an unknown name, before anything is written.
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
        """Whether a scene would be taken from this file, as from the newest that holds it."""
        return name not in self or self.file(name).age <= file.age

    def _noted(self, path: Path) -> Path:
        """Register a file of scenes that was just written, and remove the notes about scenes that it finishes."""
        file = self._open(path)
        self.files = [known for known in self.files if known.path != path] + [file]
        self._index()
        for record in file.records:
            if record.finished:
                take_back(self.folder, record.name)
        return path

    def put_aside(self, name: str, reason: str, provenance: Mapping[str, Any]) -> None:
        """Note why a scene could not be learnt. The note is removed when the scene is added after all.

        Raises StoreError for an unsafe name.
        """
        put_aside(self.folder, name, reason, provenance)

    def aside(self) -> dict[str, str]:
        """Return the reason for each scene that could not be learnt. Raises StoreError for a damaged note."""
        return read_aside(self.folder)

    def remove(self, *names: str) -> None:
        """Remove scenes; the other scenes of their files are moved to new files first, bit for bit.

        Raises StoreError for an unknown name, before anything is removed.
        """
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
        """Delete files whose scenes were all written again later, and temporary files of writers that were killed."""
        for path in (self.folder / SCENES).glob(".*.tmp"):
            with suppress(FileNotFoundError):  # its writer has just finished
                if time.time() - path.stat().st_mtime > STALE:
                    path.unlink(missing_ok=True)
        for file in [file for file in self.files if not any(self._where[name] is file for name in file.names)]:
            file.path.unlink(missing_ok=True)
            self.files.remove(file)

    def verify(self) -> list[StoreError]:
        """Check the hash of every file; return an error for each that is wrong."""
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
        return bytes_in(self.folder)

    def orbit(self, count: int, elevation: float = 18.0, size: Size | None = None) -> View:
        """Place cameras on a full turn around the box, at the distance from which the training images were taken.

        `elevation` is in degrees above the horizon. `size` is (width, height) in pixels, or one number for both; by
        default that of the training images. Raises TdaError for less than one camera.
        """
        camera, centre = self.manifest.camera, self.shared.scenes.box.mean(0)
        view = orbit(count, camera.distance, elevation, camera.focal, (camera.width, camera.height), centre)
        return view if size is None else view.resized(*image_size(size))

    def file(self, name: str) -> SceneFile:
        """Return the file that a scene is read from. Raises StoreError for an unknown name."""
        if name not in self._where:
            raise StoreError(f"{self.folder} ({listed(self.names)}) holds no scene '{name}'.{suggest(str(name), self)}")
        return self._where[name]

    def _tried(self, path: Path) -> SceneFile | StoreError:
        try:
            return self._open(path)
        except StoreError as error:
            return error

    def _open(self, path: Path) -> SceneFile:
        return SceneFile(path, self.manifest.hash, self.manifest.config.triplane)

    def _index(self) -> None:
        """Map each name to the newest file that holds it."""
        ordered = sorted(self.files, key=lambda file: file.age)
        self._where = {name: file for file in ordered for name in file.names}
