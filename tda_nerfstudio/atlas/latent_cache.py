"""Encoded training images, kept for the next run: float16, one memory-mapped array per scene.

A scene has one safetensors file, which holds the array together with a record of what it was made from. A mapped array
keeps no file open; a thousand arrays of np.memmap would keep a thousand files open.
"""

from __future__ import annotations

import hashlib
import json
import os
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from jaxtyping import Float, Float16, Int
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tda_nerfstudio.atlas.atlas import Atlas
from tda_nerfstudio.base.atomic import replace_file
from tda_nerfstudio.base.errors import TdaError, counted
from tda_nerfstudio.base.progress import track

FORMAT = 2
"""Raise it when images are read, encoded or kept in another way: files of another format are made anew."""
ENCODE_BATCH = 32
"""How many views are encoded at once. A batch has views of one scene, so that latents do not depend on the cache."""


class LatentCache:
    """Latents of all training views, scene after scene, rounded to float16 wherever they are kept.

    With a folder they are mapped from FOLDER/ATLAS/AUTOENCODER/SCENE.safetensors. Only scenes are encoded whose file is
    missing, damaged or of other images. Without a folder that can be written, latents stay in memory.
    """

    def __init__(
        self,
        atlas: Atlas,
        encode: Callable[[Int[Tensor, " view"]], Float[Tensor, "view channel h w"]],
        autoencoder: str,
        folder: Path | None,
        warn: Callable[[str], object],
    ) -> None:
        """Encode what is missing with `encode`, whose weights have the hash `autoencoder`, and show the progress.

        Calls `warn` once if files cannot be written. Raises TdaError when interrupted; finished scenes stay.
        """
        if folder is not None:  # atlases of the same name in other places get their own folders
            place = hashlib.blake2b(str(atlas.root).encode(), digest_size=4).hexdigest()
            folder = folder / f"{atlas.root.name}-{place}" / autoencoder
        self._atlas, self._encode, self._autoencoder, self._warn = atlas, encode, autoencoder, warn
        self._folder, self._writable = folder, folder is not None
        self._starts = list(accumulate((len(scene.train) for scene in atlas.scenes), initial=0))
        scenes = range(len(atlas.scenes))
        self._scenes = {scene: latents for scene in scenes if (latents := self._find(scene)) is not None}
        missing = [scene for scene in scenes if scene not in self._scenes]
        title = f"Encoding {len(missing)} of {counted(len(scenes), 'scene')}"
        try:
            for scene in track(missing, title):
                self._scenes[scene] = self._make(scene)
        except KeyboardInterrupt:
            if not self._writable:
                raise
            raise TdaError(
                f"Encoding was interrupted. {len(self._scenes)} of {len(scenes)} scenes are encoded and stay in"
                f" {folder}: the same command goes on from there."
            ) from None

    def __getitem__(self, index: Int[Tensor, " view"]) -> Float[Tensor, "view channel h w"]:
        """Copy out the latents of some views, counted through all scenes."""
        rows = []
        for view in index.tolist():
            scene = bisect_right(self._starts, view) - 1
            rows.append(self._scenes[scene][view - self._starts[scene]])
        return torch.stack(rows).float()

    def _find(self, scene: int) -> Float16[Tensor, "view channel h w"] | None:
        """Map a scene's latents if they are there and still those of its images."""
        found = None if self._folder is None else _read(self._path(scene))
        if found is None:
            return None
        record, latents = found
        now = self._record(scene, record)
        if now == record:
            return latents
        return self._keep(scene, now, latents) if _content(now) == _content(record) else None

    def _make(self, scene: int) -> Float16[Tensor, "view channel h w"]:
        """Encode a scene. Its images are recorded first, so that the next run sees a change in the meantime."""
        record = self._record(scene) if self._writable else {}
        parts = torch.arange(self._starts[scene], self._starts[scene + 1]).split(ENCODE_BATCH)
        latents = torch.cat([self._encode(part).half().cpu() for part in parts])
        return self._keep(scene, record, latents.contiguous())  # channels may come last

    def _keep(self, scene: int, record: dict[str, Any], latents: Tensor) -> Float16[Tensor, "view channel h w"]:
        """Write a scene's file and map it, or return the latents as they are where that is not possible.

        Latents that are not finite are not kept: their images could not be read.
        """
        if not self._writable or not latents.isfinite().all():
            return latents
        path, text = self._path(scene), json.dumps(record)
        told = {"record": text, "checksum": _checksum(text, latents)}
        content = safetensors.torch.save({"latents": latents}, told)
        try:
            replace_file(path, lambda file: file.write(content))
        except OSError as error:
            self._writable = False
            self._warn(
                f"Latents cannot be kept in {path.parent} ({error.strerror or error}): this run holds them in memory,"
                " and the next one encodes again. Make room there, or make it writable."
            )
            return latents
        found = _read(path)  # another process may have been quicker, and may have selected other views
        return found[1] if found is not None and found[0] == record else latents

    def _path(self, scene: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{self._atlas.scenes[scene].name}.safetensors"

    def _record(self, scene: int, known: dict[str, Any] | None = None) -> dict[str, Any]:
        """Describe what a scene's latents are made from: each view's file name, size, times, hash, mask and lens.

        Only images are hashed whose size or times differ from the known ones. The time of change is compared too:
        copies and archives keep the time of modification.
        """
        before = {view[0]: view for view in known["views"]} if known else {}
        train, views = self._atlas.scenes[scene].train, []
        for path in train.paths:
            name, stat = os.path.relpath(path, self._atlas.root), path.stat()
            view = [name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
            same = before.get(name, [])[:-1] == view
            views.append([*view, before[name][-1] if same else _hash(path)])
        made = [[picture.mask and _hash(picture.mask), repr(picture.lens)] for picture in train.pictures]
        size = [self._atlas.width, self._atlas.height]
        return {"format": FORMAT, "autoencoder": self._autoencoder, "size": size, "views": views, "made": made}


def _content(record: dict[str, Any]) -> dict[str, Any]:
    """Reduce a record to what stays the same when files are copied, renamed or touched."""
    return record | {"views": [view[-1] for view in record["views"]]}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], Float16[Tensor, "view channel h w"]] | None:
    """Map a scene's file: its record and its latents, or None where it is missing or has a wrong bit anywhere."""
    try:
        with safe_open(path, "pt") as file:
            told, latents = file.metadata() or {}, file.get_tensor("latents")
    except (OSError, SafetensorError):
        return None
    text = told.get("record", "")
    return (json.loads(text), latents) if told.get("checksum") == _checksum(text, latents) else None


def _checksum(record: str, latents: Tensor) -> str:
    digest = hashlib.blake2b(f"{record}{latents.dtype}{tuple(latents.shape)}".encode(), digest_size=16)
    digest.update(latents.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
