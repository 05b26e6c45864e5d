"""Stage 1 as stage 2 needs it: which run it is, what it tells of itself, and the parts that new scenes share with it.

A store that was made from the run has the same, also where the run is gone.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.scenes import LatentScenes, TriPlaneConfig
from tda_nerfstudio.learning.beginning import mean_beginning
from tda_nerfstudio.plugin.checkpoint import check_state, model_tensors
from tda_nerfstudio.plugin.finished import NAME, read_finished
from tda_nerfstudio.store import shared_parts
from tda_nerfstudio.store.manifest import Manifest, SharedConfig
from tda_nerfstudio.store.shared_parts import OWN, SharedParts, is_store, read_shared_parts, shared_tensors

ABOUT = "stage_one"
"""Key in a store's manifest of what it tells about the stage 1 that its shared parts come from."""
MOST = 1 << 19
"""Bytes that this may have, at most: half of what a manifest may have."""


def finished_runs(output_dir: Path) -> list[dict[str, Any]]:
    """List the `tda-ae` runs below the output directory, the one that finished last first."""
    found = []
    for path in output_dir.glob(f"*/tda-ae/*/{NAME}"):
        try:
            found.append((path.stat().st_mtime_ns, read_finished(path)))
        except TdaError:
            continue
    return [facts for _, facts in sorted(found, key=lambda pair: -pair[0])]


def find(
    output_dir: Path, chosen: Path | None, fingerprint: str | None = None, option: str = "--pipeline.autoencoder"
) -> dict[str, Any]:
    """Read the finished.json of the chosen run, or of the `tda-ae` run that finished last below the output directory.

    `option` is what chooses it. Raises TdaError when there is none, for another method's run, and for an autoencoder of
    another fingerprint.
    """
    runs = finished_runs(output_dir) if chosen is None else [read_finished(chosen)]
    if not runs:
        raise TdaError(
            f"No finished tda-ae run below {output_dir.resolve()}, and new scenes need one to start from. Run"
            f" `ns-train tda-ae --data ATLAS` first, or name a run with {option} PATH."
        )
    facts = runs[0]
    if facts["method"] != "tda-ae":
        raise TdaError(f"{facts['run']} is a {facts['method']} run; {option} needs a tda-ae run.")
    found = facts["model"]["fingerprint"]
    if fingerprint not in (None, found):
        raise TdaError(
            f"Stage 1 at {facts['run']} has an autoencoder with hash {found}, but this configuration expects"
            f" {fingerprint}. Name the run it was made with: {option} PATH."
        )
    return facts


def sizes_of(facts: dict[str, Any]) -> tuple[TriPlaneConfig, AutoencoderConfig]:
    """Give the sizes that a finished run tells."""
    model = facts["model"]
    return TriPlaneConfig(**model["triplane"]), AutoencoderConfig(**model["autoencoder"])


def tell(run: Path | None) -> dict[str, Any]:
    """Collect what a store tells about the stage 1 that it is made from: nothing where that is gone, or very long."""
    if run is None:
        return {}
    try:
        facts = read_finished(run)
    except TdaError:
        return {}
    facts = {key: facts[key] for key in ("scene_names", "start_loss")} | {"data": Path(facts["data"]).name}
    return {ABOUT: facts} if len(json.dumps(facts)) < MOST else {}


def known(run: Path | None, store: Path | None) -> dict[str, Any] | None:
    """Give the data, scene_names and start_loss of a stage 1, and as `run` what tells them; None where nothing does.

    A store tells them where no run is named, with the data's name alone. Raises TdaError for a damaged run or store.
    """
    if run is not None:
        return read_finished(run)
    if store is None or not is_store(store):
        return None
    facts = Manifest.read(store).about.get(ABOUT)
    if not isinstance(facts, dict) or not isinstance(facts.get("data"), str):
        return None
    names, loss = facts.get("scene_names"), facts.get("start_loss")
    listed = names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []
    usual = float(loss) if isinstance(loss, int | float) and 0 < loss < 1e9 else None
    return {"run": str(store), "data": facts["data"], "scene_names": listed, "start_loss": usual}


def read(run: Path | None, store: Path | None, own_store: Path | None = None) -> tuple[SharedParts, str]:
    """Read the shared parts of a run if one is named and still there, else those of a store; say where they are from.

    A run's own store has them from its first save on. Raises TdaError when nothing has them, or they are damaged.
    """
    if run is not None and run.exists():
        facts = read_finished(run)
        where = f"Stage 1 at {facts['run']}"
        return parts_of_run(facts, where), where
    stores = [folder for folder in (store, own_store) if folder is not None]
    kept = next(filter(is_store, stores), store if run is None else None)
    if kept is None:
        raise TdaError(f"Stage 1 at {run} is not there any more, and no store keeps its parts. Put it back.")
    return read_shared_parts(kept), f"The store {kept}"


def parts_of_run(facts: dict[str, Any], where: str) -> SharedParts:
    """Read what the scenes of a finished run share from its checkpoint; `where` names the run.

    Raises TdaError for a damaged one.
    """
    triplane, autoencoder = sizes_of(facts)
    autoencoder = replace(autoencoder, start="scratch", source=None, revision=None)
    config = SharedConfig(triplane, autoencoder, SamplingConfig(**facts["model"].get("sampling", {})))
    state = model_tensors(Path(facts["run"]) / facts["checkpoint"])
    state = {name.removeprefix("field."): tensor for name, tensor in state.items()}
    weights, occupied, _ = mean_beginning(state["scenes.weights"], state["scenes.occupied"], where)
    shared = {
        name: tensor
        for name, tensor in state.items()
        if name.startswith(("autoencoder.", "scenes.")) and name.removeprefix("scenes.") not in OWN
    }
    with torch.device("meta"):
        check_state(shared, shared_tensors(*shared_parts.build_parts(config)), where)
    return shared_parts.assemble(config, shared | {"weights": weights, "occupied": occupied})


def take_over(parts: SharedParts, where: str, scenes: LatentScenes, autoencoder: Autoencoder) -> None:
    """Copy shared parts into a model's, whatever number of scenes that has. Raises TdaError where they do not fit."""
    check_state(shared_tensors(parts.scenes, parts.autoencoder), shared_tensors(scenes, autoencoder), where)
    autoencoder.load_state_dict(parts.autoencoder.state_dict())
    shared = {name: tensor for name, tensor in parts.scenes.state_dict().items() if name not in OWN}
    scenes.load_state_dict(shared, strict=False)
