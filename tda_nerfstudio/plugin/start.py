"""Where stage 2 starts: the shared parts of a finished tda-ae run, or those of a store, and its scenes' first guess."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.plugin.manifest import read_manifest, stage_one_tensors
from tda_nerfstudio.store.shared_parts import SharedParts, is_store, read_shared_parts

SHARED = ("autoencoder.", "field.scenes.base", "field.scenes.hidden", "field.scenes.head")
"""Tensors of a model that stage 2 takes over."""


class Start(NamedTuple):
    """Shared parts as tensors of a model, and where new scenes start."""

    where: str
    """Where it all comes from, for error messages."""
    shared: dict[str, Tensor]
    weights: Float[Tensor, " base"]
    occupied: Bool[Tensor, "G G G"]


def read_start(autoencoder: Path | None, store: Path | None, own_store: Path | None = None) -> Start:
    """Read the shared parts of a run if one is named and still there, else those of a store.

    A run's own store has them from its first save on. Raises TdaError when nothing has them.
    """
    if autoencoder is None or not autoencoder.exists():
        stores = [folder for folder in (store, own_store) if folder is not None]
        kept = next(filter(is_store, stores), store if autoencoder is None else None)
        if kept is not None:
            return start_of_store(kept, read_shared_parts(kept))
        raise TdaError(f"Stage 1 at {autoencoder} is not there any more, and no store keeps its parts. Put it back.")
    manifest = read_manifest(autoencoder)
    given = stage_one_tensors(manifest)
    shared = {key: value for key, value in given.items() if key.startswith(SHARED)}
    where = f"Stage 1 at {manifest['run']}"
    return Start(where, shared, *mean_start(given["field.scenes.weights"], given["field.scenes.occupied"], where))


def mean_start(
    weights: Float[Tensor, "scene base"], occupied: Bool[Tensor, "scene G G G"], where: str
) -> tuple[Float[Tensor, " base"], Bool[Tensor, "G G G"]]:
    """Start at the mean of scenes, in all the space that they fill. Raises TdaError when all of them diverged."""
    good = weights.isfinite().all(1)
    if not good.any():
        raise TdaError(f"{where} has no scene to start from: all of them diverged. Train it again.")
    return weights[good].mean(0), occupied[good].any(0)


def start_of_store(folder: Path, parts: SharedParts) -> Start:
    """Name a store's shared parts as a model does."""
    state = {f"autoencoder.{key}": value for key, value in parts.autoencoder.state_dict().items()}
    state |= {f"field.scenes.{key}": value for key, value in parts.scenes.state_dict().items()}
    shared = {key: value for key, value in state.items() if key.startswith(SHARED)}
    return Start(f"The store {folder}", shared, parts.weights, parts.occupied)
