"""What a finished run says about itself: `finished.json` beside its config.yml."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tda_nerfstudio.base.atomic import write_text
from tda_nerfstudio.base.errors import TdaError

NAME = "finished.json"
STORE = "store"
"""Folder of a run's own scene store, beside its config.yml."""
PREFIX = "_model."


def write_manifest(run: Path, content: dict[str, Any]) -> None:
    """Mark a run as finished, with the versions that made it."""
    packages = ("tda-nerfstudio", "nerfstudio", "torch", "numpy")
    versions = {"python": platform.python_version()} | {name: version(name) for name in packages}
    write_text(run / NAME, json.dumps(content | {"versions": versions}, indent=2))


def read_manifest(run: Path) -> dict[str, Any]:
    """Read the manifest of a run, given its folder or any file in it. Raises TdaError when it has none."""
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
        own = folder / STORE  # older versions recorded where it was
        content["store"] = str(own if own.exists() else folder / content["store"])
    return content | {"run": str(folder)}


def finished_stage_ones(output_dir: Path) -> list[dict[str, Any]]:
    """List the `tda-ae` runs below the output directory, the one that finished last first."""
    found = []
    for path in output_dir.glob(f"*/tda-ae/*/{NAME}"):
        try:
            found.append((path.stat().st_mtime_ns, read_manifest(path)))
        except TdaError:
            continue
    return [manifest for _, manifest in sorted(found, key=lambda pair: -pair[0])]


def newest_stage_one(output_dir: Path) -> dict[str, Any]:
    """Find the `tda-ae` run that finished last below the output directory. Raises TdaError when there is none."""
    found = finished_stage_ones(output_dir)
    if not found:
        raise TdaError(
            f"No finished tda-ae run below {output_dir.resolve()}, and tda-scenes needs one to start from. Run"
            " `ns-train tda-ae --data ATLAS` first, or name a run with --pipeline.autoencoder PATH."
        )
    return found[0]


def stage_one_tensors(manifest: dict[str, Any]) -> dict[str, Tensor]:
    """Load the model's tensors of a finished run. Raises TdaError when the checkpoint is missing or damaged."""
    path = Path(manifest["run"]) / manifest["checkpoint"]
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["pipeline"]
    except FileNotFoundError:
        raise TdaError(f"The checkpoint {path} of the finished run is missing. Restore it or train again.") from None
    except Exception as error:
        raise TdaError(f"The checkpoint {path} cannot be read ({error}). Restore it or train again.") from error
    return {key.removeprefix(PREFIX): value for key, value in state.items()}


def check_state(
    state: dict[str, Tensor], expected: dict[str, Tensor], where: str, prefixes: Sequence[str] = ("",)
) -> None:
    """Compare a checkpoint's keys and shapes with a model's. Raises TdaError that lists what differs."""
    wanted = {key: tuple(value.shape) for key, value in expected.items() if key.startswith(tuple(prefixes))}
    given = {key: tuple(value.shape) for key, value in state.items() if key.startswith(tuple(prefixes))}
    missing, extra = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    shapes = [
        f"{k} is {given[k]}, not {wanted[k]}" for k in sorted(wanted.keys() & given.keys()) if given[k] != wanted[k]
    ]
    problems = [
        f"{label}: {', '.join(items[:4])}{f' and {len(items) - 4} more' if len(items) > 4 else ''}"
        for label, items in (("missing", missing), ("unexpected", extra), ("other shapes", shapes))
        if items
    ]
    if problems:
        raise TdaError(
            f"{where} does not fit this configuration and is refused; {'; '.join(problems)}. Use the config.yml that"
            " was saved beside it, with the same scenes and sizes."
        )
