"""From a run to a scene store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tda_nerfstudio.core.errors import StoreError
from tda_nerfstudio.plugin.manifest import read_manifest
from tda_nerfstudio.plugin.multi_scene_datamanager import MultiSceneDataManager
from tda_nerfstudio.plugin.open_run import open_run
from tda_nerfstudio.plugin.tda_model import TdaModel
from tda_nerfstudio.store.precision import Precision
from tda_nerfstudio.store.scene_files import LearntScene, Record
from tda_nerfstudio.store.shared_parts import MANIFEST, SharedParts, Shots, Sizes, shared_hash, write_shared_parts
from tda_nerfstudio.store.store import Store

SCORES = ("psnr", "ssim", "sharpness", "ceiling_psnr")
TOGETHER = 64
"""Scenes a file."""


def shared_parts(model: TdaModel) -> SharedParts:
    """Collect what a run's scenes share, as they are; new scenes will start from the mean of this run's."""
    table, config = model.field.scenes, model.config
    origin = {"start": "scratch", "source": None, "revision": None}  # a store needs none of them
    sizes = Sizes(config.triplane, replace(config.autoencoder.resolve(), **origin), config.sampling)
    return SharedParts(sizes, table, model.autoencoder, table.weights.detach().mean(0), table.occupied.any(0))


def shots(model: TdaModel, manager: MultiSceneDataManager) -> Shots:
    """Say how a run's training images were taken."""
    atlas, cameras = manager.atlas, manager.train_store
    distance = (cameras.c2w[:, :, 3] - model.field.scenes.box.cpu().mean(0)).norm(dim=-1).median()
    return Shots(atlas.width, atlas.height, float(cameras.fx.median()), float(distance))


def learnt_scene(model: TdaModel, row: int, record: Record) -> LearntScene:
    """Take a row out of the table."""
    table, r = model.field.scenes, model.config.triplane.resolution
    micro = table.micro[row].detach().view(3, r, r, -1).cpu().clone()
    return LearntScene(record, micro, table.weights[row].detach().cpu().clone(), table.occupied[row].cpu().clone())


def open_store(folder: Path, parts: SharedParts, shots: Shots, about: Mapping[str, Any]) -> Store:
    """Open a store for scenes with these shared parts, made if there is none.

    Raises StoreError when it was made with others.
    """
    if not (folder / MANIFEST).exists():
        write_shared_parts(folder, parts, shots, about)
    store, own = Store(folder), shared_hash(parts)
    if store.manifest.hash != own:
        raise StoreError(
            f"{folder} holds scenes of the shared parts {store.manifest.hash}, and this run has {own}: they cannot live"
            " in one store. Name another folder, or learn the scenes with that store's parts."
        )
    return store


def export_run(load_config: Path, folder: Path, precision: Precision = "int8") -> Store:
    """Put a finished run's scenes into a store. Raises TdaError for what is no finished run."""
    pipeline, manifest = open_run(load_config), read_manifest(load_config)
    provenance = {"data": Path(manifest["data"]).name} | {k: manifest.get(k) for k in ("seed", "versions")}
    provenance["visits"] = {phase["name"]: phase["visits"] for phase in manifest.get("phases", [])}
    model, manager = pipeline.model, pipeline.datamanager
    return store_scenes(model, manager, folder, manifest["metrics"], provenance, precision)


def store_scenes(
    model: TdaModel,
    manager: MultiSceneDataManager,
    folder: Path,
    metrics: Mapping[str, Any],
    provenance: Mapping[str, Any],
    precision: Precision = "int8",
    about: Mapping[str, Any] | None = None,
) -> Store:
    """Put all scenes of a run into a store, a file for each 64 of them, in place of what it held under their names.

    Metrics are those of `evaluate`. Raises StoreError when the store has other shared parts.
    """
    store = open_store(folder, shared_parts(model), shots(model, manager), about or {})
    rows: Sequence[tuple[int, str]] = list(enumerate(manager.scene_names))
    for i in range(0, len(rows), TOGETHER):
        scenes = []
        for row, name in rows[i : i + TOGETHER]:
            found = (metrics.get("scenes") or {}).get(name) or {}
            scores = {key: round(float(found[key]), 4) for key in SCORES if key in found}
            scenes.append(learnt_scene(model, row, Record(name, scores, dict(provenance))))
        store.add(scenes, precision)
    store.prune()
    return store
