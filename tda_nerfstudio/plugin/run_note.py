"""The note of what a run began with: `start.json` beside its config.yml. A resumed run must have the same.

A checkpoint does not name its scenes. Other scenes in the same rows would be taken for them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tda_nerfstudio.base.atomic import write_text
from tda_nerfstudio.base.errors import TdaError, listed
from tda_nerfstudio.plugin.tda_pipeline import TdaPipelineConfig

NOTE = "start.json"


def read_note(run: Path | None) -> dict[str, Any]:
    """Read the note of a run that is resumed. It is empty for a new run (None). Raises TdaError if it is damaged."""
    path = None if run is None else run / NOTE
    try:
        return json.loads(path.read_text()) if path is not None and path.is_file() else {}
    except (OSError, ValueError) as error:
        raise TdaError(f"{path} cannot be read ({error}). It says what the run began with: restore it.") from error


def make_note(pipeline: TdaPipelineConfig, scenes: Sequence[str]) -> dict[str, Any]:
    """Collect what a run begins with. Its sizes must be resolved."""
    autoencoder = None if pipeline.autoencoder is None else str(pipeline.autoencoder)
    sizes = {"triplane": asdict(pipeline.model.triplane), "autoencoder": asdict(pipeline.model.autoencoder)}
    return json.loads(json.dumps({"autoencoder": autoencoder, "scenes": list(scenes), "sizes": sizes}))


def write_note(run: Path, note: dict[str, Any]) -> None:
    """Write the note of a new run."""
    write_text(run / NOTE, json.dumps(note, indent=1))


def check_note(began: dict[str, Any], now: dict[str, Any], command: str) -> None:
    """Raise TdaError if a run began with other scenes or sizes than it has now.

    The error shows the `command` that resumes the run as it began.
    """
    differs = [
        f"--pipeline.model.{part}.{name} {began['sizes'][part][name]}; now it is {value}"
        for part, sizes in now["sizes"].items()
        for name, value in sizes.items()
        if began["sizes"][part].get(name, value) != value
    ]
    if began["scenes"] != now["scenes"]:
        differs.insert(0, f"{listed(began['scenes'])}; now there are {listed(now['scenes'])}")
    if differs:
        error = TdaError(
            f"The run that would be gone on with began with {differs[0]}. Its checkpoint holds what was learnt of the"
            " former. Begin a run of its own with another --timestamp, or go on with that one as it began:"
        )
        error.add_note(command)
        raise error
