"""The manifest of a finished run: `finished.json` beside its config.yml."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tda_nerfstudio.base.atomic import write_text
from tda_nerfstudio.base.errors import TdaError

NAME = "finished.json"
STORE = "store"
"""Folder of a run's own scene store, beside its config.yml."""


def write_finished(run: Path, content: dict[str, Any]) -> None:
    """Write the manifest, which marks a run as finished, with the versions of the packages that made it."""
    packages = ("tda-nerfstudio", "nerfstudio", "torch", "numpy")
    versions = {"python": platform.python_version()} | {name: version(name) for name in packages}
    write_text(run / NAME, json.dumps(content | {"versions": versions}, indent=2))


def read_finished(run: Path) -> dict[str, Any]:
    """Read the manifest of a run, given by its folder or any file in it. Raises TdaError if it has none.

    `run` is added: the run's folder. The path of the store is made absolute.
    """
    if not run.exists():
        raise TdaError(f"{run} does not exist. Give the folder of a finished run, or its config.yml.")
    folder = run if run.is_dir() else run.parent
    try:
        content = json.loads((folder / NAME).read_text())
    except FileNotFoundError:
        raise TdaError(
            f"{folder} is not a finished run: it has no {NAME}. Let it finish (ns-train ... --load-dir"
            f" {folder / 'nerfstudio_models'}) or name another run."
        ) from None
    except (OSError, ValueError) as error:
        raise TdaError(f"{folder / NAME} cannot be read ({error}). Train that run again.") from error
    folder = folder.resolve()
    if content.get("store") is not None:
        content["store"] = str(folder / content["store"])
    return content | {"run": str(folder)}
