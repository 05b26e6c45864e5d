"""The folder of exports: what is there already, what may be written, and notes on what was made."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tda_nerfstudio.base.atomic import replace_file, require_writable, write_text
from tda_nerfstudio.base.errors import TdaError, listed
from tda_nerfstudio.export.made import FRAMES, Made

NOTES = ".made"
"""Folder of notes, one for each scene and kind: settings, files, figures. No scene's name begins with a dot."""


@dataclass(frozen=True)
class Folder:
    """Exports of one kind below a folder."""

    out: Path
    kind: str
    settings: Mapping[str, Any]
    """All that files depend on but the scene. Files made with other settings are not taken for these."""

    def figures(self, name: str, source: Callable[[], str]) -> dict[str, float] | None:
        """Give the figures of a scene that is there already, of the same source; None where it has to be made."""
        note = self._note(name)
        if note is None or not note["figures"] or not self._complete(note) or note["source"] != source():
            return None
        return dict(note["figures"])

    def claim(self, files: Mapping[str, Sequence[str]], overwrite: bool) -> None:
        """Make sure that files of scenes can be written. Raises TdaError where others are in their place.

        Those of an export that was interrupted with the same settings are not in the way.
        """
        if re.match(r"\w\w+:/", str(self.out)):
            raise TdaError(f"{self.out} is an address. Exports are written into a folder of this machine.")
        if self.out.exists() and not self.out.is_dir():
            raise TdaError(f"{self.out} is a file. Name a folder for the exports.")
        begun = {name for name in files if (note := self._note(name)) is not None and not note["figures"]}
        others = [path for name, paths in files.items() if name not in begun for path in paths]
        taken = [path for path in others if (self.out / path).exists()]
        if taken and not overwrite:
            raise TdaError(
                f"{self.out} holds {listed(taken, 'file')} already, of other scenes or made otherwise: nothing was"
                " written. Name another folder, or replace them with --overwrite."
            )
        require_writable(self.out)

    def put(self, name: str, source: str, made: Made) -> None:
        """Write a scene's files, each whole or not at all, between a note that it began and one that it is done.

        Raises TdaError where there is no room; then nothing of it is left.
        """
        written: list[Path] = []
        try:
            old = self._note(name, any_settings=True)
            self._write_note(name, source, made.files, {})
            for path in set(old["files"] if old else ()) - made.files.keys():
                (self.out / path).unlink(missing_ok=True)
            for path, content in made.files.items():
                replace_file(self.out / path, lambda file, content=content: file.write(content))
                written.append(self.out / path)
            self._write_note(name, source, made.files, made.figures)
        except OSError as error:
            for path in (*written, self._place(name)):
                path.unlink(missing_ok=True)
            raise TdaError(
                f"{self.out} cannot be written ({error.strerror or error}). Make room or make it writable, and run the"
                " same line again: what is done stays."
            ) from error

    def _place(self, name: str) -> Path:
        return self.out / NOTES / f"{name}.{self.kind}.json"

    def _write_note(self, name: str, source: str, files: Mapping[str, bytes], figures: Mapping[str, float]) -> None:
        frames = {path: frame for path in files for ending, frame in FRAMES.items() if path.endswith(ending)}
        note = {"settings": dict(self.settings), "source": source, "frames": frames, "figures": dict(figures)}
        note["files"] = {path: len(content) for path, content in files.items()}
        write_text(self._place(name), json.dumps(note, indent=1) + "\n")

    def _note(self, name: str, any_settings: bool = False) -> dict[str, Any] | None:
        try:
            note = json.loads(self._place(name).read_bytes())
            whole = {"settings", "source", "files", "figures"} <= note.keys() and isinstance(note["files"], dict)
        except (OSError, ValueError, AttributeError):
            return None
        return note if whole and (any_settings or note["settings"] == dict(self.settings)) else None

    def _complete(self, note: Mapping[str, Any]) -> bool:
        try:
            return all((self.out / path).stat().st_size == size for path, size in note["files"].items())
        except OSError:
            return False
