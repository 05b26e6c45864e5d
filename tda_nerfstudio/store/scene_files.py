"""Files of learnt scenes: written once, never changed, named by the hash of their bytes.

A file is safetensors, [scene, ...] for each tensor (`SceneFile._expected`), with records of its scenes as metadata.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from tda_nerfstudio.base.errors import StoreError
from tda_nerfstudio.base.places import nearby, read_range
from tda_nerfstudio.core.scenes import TriPlaneConfig
from tda_nerfstudio.store.learnt_scene import LearntScene, PackedScenes, Record
from tda_nerfstudio.store.precision import PRECISIONS, STEPS, Precision
from tda_nerfstudio.store.safe_files import check_name, damage_named, write_whole

FORMAT = "tda scenes 1"
SUFFIX = ".safetensors"
ABOUT = "tda"
"""The only key of a file's metadata, since safetensors writes several in any order: base64 of zlib of JSON."""
LONGEST_HEADER = 8 << 20
"""Bytes of a file's header, at most: enough for thousands of scenes, too few to fill the memory."""
USUAL_HEADER = 16 << 10
"""Bytes to read at first, as a second request to a bucket takes long."""
TOGETHER = 64
"""Scenes to put into one file where there are many."""


def write_scenes(folder: Path, shared: str, scenes: Sequence[LearntScene], precision: Precision = "int4") -> Path:
    """Pack scenes, write them into one new file and return its path. Raises as `PackedScenes.of` and `write_packed`."""
    return write_packed(folder, shared, PackedScenes.of(scenes, precision))


def write_packed(folder: Path, shared: str, scenes: PackedScenes) -> Path:
    """Write packed scenes into one new file and return its path.

    Raises StoreError for an unsafe name and for a full disk, OSError when the file cannot be written. No file that was
    there before changes.
    """
    from safetensors.torch import save

    for record in scenes.records:
        check_name(record.name, folder)
    about = {"format": FORMAT, "shared": shared, "precision": scenes.precision, "written": time.time_ns()}
    about["scenes"] = [asdict(record) for record in scenes.records]
    content = save({name: t.contiguous().cpu() for name, t in scenes.tensors.items()}, {ABOUT: _squeezed(about)})
    path = folder / f"{hashlib.sha256(content).hexdigest()[:32]}{SUFFIX}"
    write_whole(path, len(content), lambda file: file.write(content))
    return path


class SceneFile:
    """One file of scenes. Its records are read at once, its tensors when they are asked for.

    Opening raises StoreError for a file that is damaged, of another format or of other shared parts; reading tensors
    does for a file whose bytes have another hash than the one in its name, or whose tensors have other shapes.
    """

    def __init__(self, path: Path, shared: str, triplane: TriPlaneConfig) -> None:
        self.path, self.triplane = path, triplane
        with damage_named(path, "The file of scenes"):
            about = _read_about(path)
            if about.get("format") != FORMAT:
                raise ValueError(f"its format is {str(about.get('format'))[:40]!r}, not {FORMAT!r}")
            self.shared, self.written = str(about["shared"]), int(about["written"])
            self.precision: Precision = PRECISIONS[PRECISIONS.index(about["precision"])]  # type: ignore[arg-type]
            self.records = [Record(**one) for one in about["scenes"]]
            for record in self.records:
                check_name(record.name, path)
                fields = (record.metrics, dict), (record.provenance, dict), (record.finished, bool)
                if not all(isinstance(value, kind) for value, kind in fields):
                    raise ValueError(f"scene {record.name!r} has no proper metrics and provenance")
        if self.shared != shared:
            raise StoreError(
                f"{path} holds scenes of the shared parts {str(self.shared)[:64]}, and this store (manifest.json) has"
                f" {shared}: they would show something else. Put them into the store that they were learnt with."
            )
        self._checked = False

    @property
    def names(self) -> list[str]:
        """The scenes in it."""
        return [record.name for record in self.records]

    @property
    def age(self) -> tuple[int, str]:
        """Sort files by when they were written, in nanoseconds; those of the same time by name."""
        return self.written, self.path.name

    @cached_property
    def bytes_a_scene(self) -> float:
        """Share the file's bytes among its scenes."""
        return self.path.stat().st_size / len(self.records)

    def record(self, name: str) -> Record:
        """Return the record of one of its scenes."""
        return self.records[self.names.index(name)]

    def load(self, name: str) -> LearntScene:
        """Read a scene, in float32."""
        packed = self.packed([name])
        with damage_named(self.path, f"Scene '{name}' in"):
            return packed.unpack(self.triplane)

    def packed(self, names: Sequence[str]) -> PackedScenes:
        """Read some scenes as they are kept."""
        rows = [self.names.index(name) for name in names]
        with damage_named(self.path, f"Scene '{names[0]}' in"):
            self.check()
            from safetensors import safe_open

            expected, parts = self._expected(), {}
            with nearby(self.path) as local, safe_open(local, "pt") as file:
                if set(file.keys()) != expected.keys():
                    raise ValueError(f"it holds {sorted(file.keys())}, not {sorted(expected)}")
                for key, (shape, dtype) in expected.items():
                    part = file.get_slice(key)
                    if list(part.get_shape()) != [len(self.records), *shape] or part.get_dtype() != dtype:
                        raise ValueError(f"{key} is {part.get_dtype()} {part.get_shape()}, not {dtype} {shape} a scene")
                    parts[key] = torch.cat([part[k : k + 1] for k in rows])
        return PackedScenes([self.records[k] for k in rows], parts, self.precision)

    def copy(self, folder: Path) -> Path:
        """Copy the whole file to another folder after checking it; return the copy's path."""
        self.packed(self.names[:1])
        path = folder / self.path.name
        with self.path.open("rb") as source:
            write_whole(path, self.path.stat().st_size, lambda file: shutil.copyfileobj(source, file))
        return path

    def check(self) -> None:
        """Raise StoreError unless the file's bytes have the hash that is its name. They are read once."""
        if self._checked:
            return
        with damage_named(self.path, "The file of scenes"), self.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()[:32]  # type: ignore[arg-type]
            if found != self.path.stem:
                raise ValueError(f"its bytes have the hash {found}, not the one in its name")
        self._checked = True

    def _expected(self) -> dict[str, tuple[list[int], str]]:
        """List a scene's tensors with their shapes and types, as safetensors spells them."""
        config, r, mic = self.triplane, self.triplane.resolution, self.triplane.micro_channels
        dtype = {"int4": "U8", "int8": "I8", "fp16": "F16", "fp32": "F32"}[self.precision]
        row = -(-r // 2) if self.precision == "int4" else r
        found = {"micro": ([3, r, row, mic], dtype), "weights": ([config.bases if config.shares else 0], "F16")}
        if self.precision in STEPS:
            found["scale"] = ([3, mic], "F32")
        if mic:
            found["occupied"] = ([-(-(config.grid**3) // 8)], "U8")
        return found


def _read_about(path: Path) -> dict[str, Any]:
    """Read a file's metadata alone, without trusting the length that it gives for its header."""
    head = read_range(path, 0, USUAL_HEADER)
    length = int.from_bytes(head[:8], "little")
    if not 2 <= length <= LONGEST_HEADER:
        raise ValueError(f"it says that its header has {length} bytes")
    header = json.loads((head if 8 + length <= len(head) else read_range(path, 0, 8 + length))[8 : 8 + length])
    text = header["__metadata__"][ABOUT]
    if not text.startswith("{"):  # the first files had it as plain JSON
        text = zlib.decompressobj().decompress(b64decode(text, validate=True), LONGEST_HEADER)
    about = json.loads(text)
    if not isinstance(about, dict):
        raise ValueError("its metadata are no set of keys")
    return about


def _squeezed(about: dict[str, Any]) -> str:
    """Write metadata as base64 of zlib of JSON: the records of a file are alike and compress well."""
    return b64encode(zlib.compress(json.dumps(about).encode(), 9)).decode()
