"""What stage 1 knew, as its run tells, or the store that was made from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.plugin.manifest import read_manifest
from tda_nerfstudio.store.manifest import Manifest
from tda_nerfstudio.store.shared_parts import is_store

if TYPE_CHECKING:
    from tda_nerfstudio.plugin.tda_pipeline import TdaPipelineConfig

ABOUT = "stage_one"
"""Key of what a store's manifest tells of the stage 1 that its shared parts are from."""
MOST = 1 << 19
"""Bytes of it, at most: half of what a manifest may have."""


def told_by_run(run: Path | None) -> dict[str, Any]:
    """Collect what a store keeps of the stage 1 that it is made from; nothing where that is gone, or very long."""
    try:
        known = {} if run is None else read_manifest(run)
    except TdaError:
        return {}
    facts = {key: known[key] for key in ("scene_names", "start_loss") if key in known}
    if "data" in known:
        facts["data"] = Path(known["data"]).name
    return {ABOUT: facts} if facts and len(json.dumps(facts)) < MOST else {}


def facts_of(config: TdaPipelineConfig) -> dict[str, Any] | None:
    """Tell data, scene_names, start_loss and where that is known from; None where nothing tells, or there is none.

    A store knows the name of its stage 1's data alone. Raises TdaError for a damaged run or store.
    """
    run, store = config.autoencoder, config.store
    if run is not None:
        return read_manifest(run)
    if store is None or not is_store(store):
        return None
    facts = Manifest.read(store).about.get(ABOUT)
    if not isinstance(facts, dict) or not isinstance(facts.get("data"), str):
        return None
    names, loss = facts.get("scene_names"), facts.get("start_loss")
    known = names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []
    usual = float(loss) if isinstance(loss, int | float) and 0 < loss < 1e9 else None
    return {"run": str(store), "data": facts["data"], "scene_names": known, "start_loss": usual}
