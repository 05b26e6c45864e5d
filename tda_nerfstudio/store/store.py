"""The scene store: a folder of learnt scenes that opens anywhere, in a year, without what it was made from."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tda_nerfstudio.core import showing
from tda_nerfstudio.core.atomic import write_text
from tda_nerfstudio.core.cameras import View, orbit
from tda_nerfstudio.core.errors import StoreError, suggest
from tda_nerfstudio.core.scenes import LatentScenes
from tda_nerfstudio.core.view import Size, image_size
from tda_nerfstudio.store.precision import Precision
from tda_nerfstudio.store.scene_files import (
    SUFFIX,
    LearntScene,
    Record,
    SceneFile,
    check_name,
    damage_named,
    write_scenes,
)
from tda_nerfstudio.store.shared_parts import SharedParts, Shots, read_manifest, read_shared_parts

SCENES, ASIDE = "scenes", "quarantine"
LONGEST_NOTE = 1 << 20
PIXELS_TOGETHER = 1 << 20
"""Image pixels that are rendered at once, to bound memory: 64 views of 128 x 128."""
STALE = 3600
"""Seconds after which a file that is still being written belongs to nobody."""


@torch.no_grad()
def put(table: LatentScenes, learnt: LearntScene, background: Tensor) -> None:
    """Put a scene into the only row of a table; where it is not empty is looked up if nobody says so."""
    table.micro.copy_(learnt.micro.reshape(1, -1))
    table.weights.copy_(learnt.weights[None])
    if learnt.occupied is None:
        table.refresh(torch.tensor([0], device=table.box.device), background, grow=False)
    else:
        table.occupied.copy_(learnt.occupied[None])


class StoredScene:
    """One scene of a store, ready to be rendered on the device that the shared parts are on."""

    def __init__(self, shared: SharedParts, shots: Shots, learnt: LearntScene) -> None:
        self.shared, self.shots, self.learnt = shared, shots, learnt

    def __repr__(self) -> str:
        record, shots = self.record, self.shots
        facts = [
            f"{shots.width} x {shots.height} pixels",
            *_psnr([record]),
            *([] if record.finished else ["unfinished"]),
        ]
        return f"<StoredScene {record.name!r}: {', '.join(facts)}>"

    @property
    def record(self) -> Record:
        """Its name, metrics and provenance."""
        return self.learnt.record

    @cached_property
    def occupied(self) -> Bool[Tensor, "G G G"]:
        """Where the scene is not empty: as it was learnt, or as its planes say."""
        if self.learnt.occupied is None:
            put(self.shared.scenes, self.learnt, self.shared.autoencoder.background)
            return self.shared.scenes.occupied[0].clone()
        return self.learnt.occupied

    @torch.no_grad()
    def render(
        self, view: View, height: int | None = None, width: int | None = None, progress: bool = False
    ) -> Float[Tensor, "view 3 height width"]:
        """Render cameras as images in [0, 1], on the CPU, however many: a few at a time.

        By default images have the size that the view says, else that of the images that the scene was learnt from. In
        another size all that was in sight stays in sight. `core.showing.show` says what a longer focal length does.
        """
        table, codec, sampling = self.shared.scenes, self.shared.autoencoder, self.shared.sizes.sampling
        device = table.box.device
        put(table, replace(self.learnt, occupied=self.occupied), codec.background)
        wide, high = view.width or self.shots.width, view.height or self.shots.height
        if height is None and width is not None:
            height = max(round(width * high / wide), 1)
        if width is None and height is not None:
            width = max(round(height * wide / high), 1)
        width, height = image_size((width or wide, height or high))
        view, planes = view.resized(width, height).to(device), table.planes(torch.tensor([0], device=device))
        images = torch.empty(len(view), 3, height, width)
        together, scene = max(PIXELS_TOGETHER // (height * width), 1), (table, planes, table.occupied, codec)
        for start in _tracked(range(0, len(view), together), f"Rendering {self.record.name}", progress):
            some = view[start : start + together]
            shown = showing.show(*scene, some, height, width, sampling, self.shots.focal, ("rgb",))
            images[start : start + together] = shown["rgb"].cpu()
        return images


class Store(Mapping[str, StoredScene]):
    """Scenes by name. The folder is the index: whoever adds a file of scenes adds scenes, and no file ever changes.

    Where two files hold a scene of the same name, the one written last counts. Scenes are rendered on `device`: by
    default a GPU where there is one, else the CPU.
    """

    def __init__(self, folder: Path | str, device: torch.device | str | None = None) -> None:
        self.folder = Path(folder)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.manifest = read_manifest(self.folder)
        self.files: list[SceneFile] = []
        self.damaged: list[StoreError] = []
        for path in sorted((self.folder / SCENES).glob(f"*{SUFFIX}")):
            try:
                self.files.append(SceneFile(path, self.manifest.hash, self.manifest.sizes.triplane))
            except StoreError as error:
                self.damaged.append(error)
        self._index()

    def __repr__(self) -> str:
        names, shots = self.names, self.manifest.shots
        facts = [f"{len(names)} scene{'' if len(names) == 1 else 's'} of {shots.width} x {shots.height} pixels"]
        facts += _psnr([self.record(name) for name in names])
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
        return StoredScene(self._shown_with, self.manifest.shots, learnt)

    def record(self, name: str) -> Record:
        """Tell what is known of a scene without reading it."""
        return self.file(name).record(name)

    def add(self, scenes: Sequence[LearntScene], precision: Precision = "int4") -> Path:
        """Write scenes into one new file; nothing that was there changes. Scenes of known names replace the old."""
        path = write_scenes(self.folder / SCENES, self.manifest.hash, scenes, precision)
        self.files.append(SceneFile(path, self.manifest.hash, self.manifest.sizes.triplane))
        self._index()
        for scene in scenes:
            if scene.record.finished:
                self._note(scene.record.name).unlink(missing_ok=True)
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

    def remove(self, name: str) -> None:
        """Take a scene out; others of the same file move to a new one first, in its precision."""
        self.file(name)
        for file in [file for file in self.files if name in file.names]:
            others = [other for other in file.names if other != name and self._where[other] is file]
            if others:
                self.add([file.load(other) for other in others], file.precision)
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
        shots, centre = self.manifest.shots, self.shared.scenes.box.mean(0)
        view = orbit(count, shots.distance, elevation, shots.focal, (shots.width, shots.height), centre)
        return view if size is None else view.resized(*image_size(size))

    def file(self, name: str) -> SceneFile:
        """Find the file that holds a scene. Raises StoreError for an unknown name."""
        if name not in self._where:
            raise StoreError(f"{self.folder} holds no scene '{name}'.{suggest(name, self)}")
        return self._where[name]

    def _index(self) -> None:
        ordered = sorted(self.files, key=lambda file: (file.written, file.path.name))
        self._where = {name: file for file in ordered for name in file.names}


def _psnr(records: Sequence[Record]) -> list[str]:
    """Tell the mean PSNR of those scenes that have one."""
    known = [record.metrics["psnr"] for record in records if isinstance(record.metrics.get("psnr"), float | int)]
    return [f"PSNR {sum(known) / len(known):.2f} dB"] if known else []


def _tracked(starts: Sequence[int], what: str, progress: bool) -> Iterable[int]:
    if not progress:
        return starts
    from rich.progress import track

    return track(starts, description=what)
