"""What a run began with, noted beside its config.yml: whoever goes on with it goes on with the same.

A checkpoint's rows are scenes by their places alone. Other scenes in the same places would be taken for those.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tda_nerfstudio.base.atomic import write_text
from tda_nerfstudio.base.errors import TdaError, listed

if TYPE_CHECKING:
    from tda_nerfstudio.plugin.tda_trainer import TdaTrainerConfig

NOTE = "start.json"


def read_beginning(config: TdaTrainerConfig) -> dict[str, Any]:
    """Read the note of the run that is gone on with; empty where there is none, as for a new run."""
    if config.load_checkpoint is not None:
        folder = Path(config.load_checkpoint).parents[1]
    elif config.load_dir is not None:
        folder = Path(config.load_dir).parent
    else:
        return {}
    path = folder / NOTE
    try:
        return json.loads(path.read_text()) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise TdaError(f"{path} cannot be read ({error}). It says what the run began with: restore it.") from error


def describe_beginning(config: TdaTrainerConfig, scenes: Sequence[str]) -> dict[str, Any]:
    """Say what a run begins with, once its sizes are resolved."""
    pipeline = config.pipeline
    autoencoder = None if pipeline.autoencoder is None else str(pipeline.autoencoder)
    sizes = {"triplane": asdict(pipeline.model.triplane), "autoencoder": asdict(pipeline.model.autoencoder)}
    return json.loads(json.dumps({"autoencoder": autoencoder, "scenes": list(scenes), "sizes": sizes}))


def write_beginning(config: TdaTrainerConfig, note: dict[str, Any]) -> None:
    """Write the note of a new run."""
    write_text(config.get_base_dir() / NOTE, json.dumps(note, indent=1))


def check_beginning(config: TdaTrainerConfig, began: dict[str, Any], note: dict[str, Any]) -> None:
    """Raise TdaError where a run that is gone on with began with other scenes or sizes, before any of it is touched."""
    differs = ""
    if began["scenes"] != note["scenes"]:
        differs = f"{listed(began['scenes'])}; now there are {listed(note['scenes'])}"
    for part, sizes in began.get("sizes", {}).items():
        for name, value in note["sizes"][part].items():
            if name in sizes and sizes[name] != value:
                differs = differs or f"--pipeline.model.{part}.{name} {sizes[name]}; now it is {value}"
    if differs:
        path = config.get_base_dir() / "config.yml"
        line = shlex.join(["ns-train", str(config.method_name), "--load-config", str(path)])
        error = TdaError(
            f"The run that would be gone on with began with {differs}. Its checkpoint holds what was learnt of the"
            " former. Begin a run of its own with another --timestamp, or go on with that one as it began:"
        )
        error.add_note(line)
        raise error
