"""The folder of exports: what is there already, what may be written, and notes on what was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tda_nerfstudio.base.atomic import replace_file, require_writable
from tda_nerfstudio.base.errors import TdaError, listed
from tda_nerfstudio.export.made import Made

NOTES = "made"
"""Folder of notes, one for each scene and kind: settings, files with their sizes, figures."""


@dataclass(frozen=True)
class Folder:
    """Exports of one kind below a folder."""

    out: Path
    kind: str
    settings: Mapping[str, Any]
    """All that files depend on but the scene. Files made with other settings are not taken for these."""

    def figures(self, name: str, source: str) -> dict[str, float] | None:
        """Give the figures of a scene that is there already, from the same source; None where it has to be made."""
        note = self._note(name)
        same = note is not None and note["settings"] == dict(self.settings) and note["source"] == source
        return dict(note["figures"]) if note is not None and same and self._complete(note) else None

    def claim(self, files: Mapping[str, list[str]], overwrite: bool) -> None:
        """Make sure that files of scenes can be written. Raises TdaError where others are in their place."""
        if self.out.exists() and not self.out.is_dir():
            raise TdaError(f"{self.out} is a file. Name a folder for the exports.")
        taken = [path for paths in files.values() for path in paths if (self.out / path).exists()]
        if taken and not overwrite:
            raise TdaError(
                f"{self.out} holds {listed(taken, 'file')} already, of other scenes or made otherwise: nothing was"
                " written. Name another folder, or replace them with --overwrite."
            )
        require_writable(self.out)

    def put(self, name: str, source: str, made: Made) -> None:
        """Write a scene's files, each whole or not at all, then its note. Raises TdaError where there is no room."""
        written: list[Path] = []
        (self.out / NOTES / f"{name}.{self.kind}.json").unlink(missing_ok=True)
        try:
            for path, content in made.files.items():
                replace_file(self.out / path, lambda file, content=content: file.write(content))
                written.append(self.out / path)
            sizes = {path: len(content) for path, content in made.files.items()}
            note = {"settings": dict(self.settings), "source": source, "files": sizes, "figures": made.figures}
            text = json.dumps(note, indent=1) + "\n"
            replace_file(self.out / NOTES / f"{name}.{self.kind}.json", lambda file: file.write(text.encode()))
        except OSError as error:
            for path in written:
                path.unlink(missing_ok=True)
            raise TdaError(
                f"{self.out} cannot be written ({error.strerror or error}). Make room or make it writable, and run the"
                " same line again: what is done stays."
            ) from error

    def _note(self, name: str) -> dict[str, Any] | None:
        try:
            note = json.loads((self.out / NOTES / f"{name}.{self.kind}.json").read_bytes())
            return note if {"settings", "source", "files", "figures"} <= note.keys() else None
        except (OSError, ValueError, AttributeError):
            return None

    def _complete(self, note: Mapping[str, Any]) -> bool:
        try:
            return all((self.out / path).stat().st_size == size for path, size in note["files"].items())
        except (OSError, AttributeError, TypeError):
            return False
