"""The files of a preset's runs: their folders, their rows, and which runs are still missing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tda_nerfstudio.base.atomic import write_text
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.plugin.finished import NAME, read_finished
from tda_nerfstudio.studies.preset import Preset, Run
from tda_nerfstudio.studies.rows import write_row
from tda_nerfstudio.studies.run_row import row_of

RUNS = "runs"
"""The folder of the runs, below the folder of all that a preset makes. An atlas that it makes lies beside it."""
SETTINGS = "preset.json"
"""The file in a run's folder that keeps the settings of the preset that started it."""


@dataclass(frozen=True)
class Study:
    """A preset and its folders. Runs and pictures go below `out`, and a row for each run goes to `results`."""

    preset: Preset
    out: Path
    data: Path
    results: Path

    def folder(self, run: Run) -> Path:
        """Return the folder in which nerfstudio keeps a run."""
        return self.out / RUNS / self.data.name / run.method / run.name

    def row(self, run: Run) -> dict[str, Any]:
        """Read the row of a run, or an empty one if there is none. Raises TdaError for a damaged file."""
        return _read(self.results / f"{run.name}.json")

    def settings(self, run: Run) -> dict[str, Any]:
        """Describe all settings that a run depends on, as its row and its folder keep them."""
        return {"data": self.preset.demo or self.data.name} | run.settings()

    def finished(self, run: Run) -> bool:
        """Tell whether a run is finished and still has its checkpoint."""
        folder = self.folder(run)
        return (folder / NAME).exists() and (folder / str(read_finished(folder).get("checkpoint"))).is_file()

    def missing(self) -> list[Run]:
        """List the runs that must still be trained or continued, in order.

        A run that has its row but no checkpoint counts as done. It is missing only if it is to be shown, or if another
        missing run starts from it. Raises TdaError for a folder that was made with other settings.
        """
        found: list[Run] = []
        for run in reversed(self.preset.runs):
            self._check(run)
            needed = run.show or any(other.source is run for other in found)
            known = self.row(run).get("preset", {}).get("settings") == self.settings(run)
            if not self.finished(run) and (needed or not known):
                found.append(run)
        return found[::-1]

    def prepare(self, run: Run) -> None:
        """Make the folder of a run and write its settings there."""
        write_text(self.folder(run) / SETTINGS, json.dumps(self.settings(run), indent=1))

    def keep(self, run: Run) -> None:
        """Write the row of a finished run if the run has changed. Raises TdaError if it cannot be written."""
        folder, path = self.folder(run), self.results / f"{run.name}.json"
        if not (folder / NAME).exists():
            return
        made = {"settings": self.settings(run), "finished": hashlib.sha256((folder / NAME).read_bytes()).hexdigest()}
        if self.row(run).get("preset") == made:
            return
        try:
            write_row(row_of(folder), path, preset=made)
        except OSError as error:
            raise TdaError(f"The row {path} cannot be written ({error}). Choose a folder with --results.") from error

    def _check(self, run: Run) -> None:
        folder = self.folder(run)
        made, wanted = dict(_leaves(_read(folder / SETTINGS))), dict(_leaves(self.settings(run)))
        for key in sorted(made.keys() | wanted.keys()) if made else []:
            if made.get(key) != wanted.get(key):
                raise TdaError(
                    f"{folder} was made with other settings than {self.preset.path} has now: {key} was"
                    f" {made.get(key)}, and is {wanted.get(key)}. Remove that folder, or choose another with --out."
                )


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise TdaError(f"{path} cannot be read ({error}). Remove it to have it made again.") from error


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """List the values in nested dictionaries, without None, each with the keys that lead to it."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _leaves(below, f"{name} {key}".strip())
    elif value is not None:
        yield name, value
