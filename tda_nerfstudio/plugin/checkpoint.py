"""Checkpoints: finding, writing and reading them, and checking that one fits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tda_nerfstudio.base.atomic import save_tensors
from tda_nerfstudio.base.errors import TdaError


def check_load_dir(folder: Path) -> None:
    """Check that a folder holds checkpoints. Raises TdaError that says what to give instead."""
    if not folder.is_dir():
        raise TdaError(f"--load-dir {folder} does not exist. Give the nerfstudio_models folder of a run.")
    if not any(re.fullmatch(r"step-\d{9}\.ckpt", path.name) for path in folder.iterdir()):
        raise TdaError(f"--load-dir {folder} holds no checkpoint (step-*.ckpt). Give a run's nerfstudio_models folder.")


def save(path: Path, state: Mapping[str, Any], alone: bool) -> None:
    """Write a checkpoint atomically. With `alone`, delete all others in its folder once it is written."""
    save_tensors(path, state)
    if alone:
        for old in path.parent.glob("step-*.ckpt"):
            if old != path:
                old.unlink()


def model_tensors(path: Path) -> dict[str, Tensor]:
    """Load the model's tensors of a finished run. Raises TdaError when its checkpoint is missing or damaged."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["pipeline"]
    except FileNotFoundError:
        raise TdaError(f"The checkpoint {path} of the finished run is missing. Restore it or train again.") from None
    except Exception as error:
        raise TdaError(f"The checkpoint {path} cannot be read ({error}). Restore it or train again.") from error
    return {name.removeprefix("_model."): tensor for name, tensor in state.items()}


def check_state(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str) -> None:
    """Compare names and shapes of tensors with those that are needed. Raises TdaError that lists what differs."""
    wanted = {name: tuple(tensor.shape) for name, tensor in expected.items()}
    given = {name: tuple(tensor.shape) for name, tensor in state.items()}
    differs = {
        "missing": wanted.keys() - given.keys(),
        "unexpected": given.keys() - wanted.keys(),
        "other shapes": {
            f"{name} is {given[name]}, not {shape}" for name, shape in wanted.items() if given.get(name, shape) != shape
        },
    }
    problems = [
        f"{label}: {', '.join(sorted(items)[:4])}{f' and {len(items) - 4} more' if len(items) > 4 else ''}"
        for label, items in differs.items()
        if items
    ]
    if problems:
        raise TdaError(
            f"{where} does not fit this configuration and is refused; {'; '.join(problems)}. Use the config.yml that"
            " was saved beside it, with the same scenes and sizes."
        )
