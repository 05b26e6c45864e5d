"""From a run to a scene store."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tda_nerfstudio.base.atomic import require_writable
from tda_nerfstudio.base.errors import StoreError, TdaError, counted
from tda_nerfstudio.base.progress import track
from tda_nerfstudio.learning.wave import learnt_scenes
from tda_nerfstudio.plugin.manifest import read_manifest
from tda_nerfstudio.plugin.multi_scene_datamanager import MultiSceneDataManager
from tda_nerfstudio.plugin.open_run import open_run
from tda_nerfstudio.plugin.stage_one import told_by_run
from tda_nerfstudio.plugin.start import Start, mean_start
from tda_nerfstudio.plugin.tda_model import TdaModel
from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline
from tda_nerfstudio.store.precision import Precision
from tda_nerfstudio.store.scene_files import TOGETHER
from tda_nerfstudio.store.shared_parts import SharedParts, Shots, Sizes, is_store, shared_hash, write_shared_parts
from tda_nerfstudio.store.store import Store


def shared_parts(model: TdaModel, start: Start | None) -> SharedParts:
    """Collect what a run's scenes share, as they are; new scenes will start there, or at the mean of this run's."""
    config, table = model.config, model.field.scenes
    if start is not None:
        weights, occupied = start.weights, start.occupied
    else:
        weights, occupied = mean_start(table.weights.detach(), table.occupied, "This run")
    origin = {"start": "scratch", "source": None, "revision": None}  # a store needs none of them
    sizes = Sizes(config.triplane, replace(config.autoencoder.resolve(), **origin), config.sampling)
    return SharedParts(sizes, table, model.autoencoder, weights, occupied)


def shots(model: TdaModel, manager: MultiSceneDataManager) -> Shots:
    """Say how a run's training images were taken."""
    views, view = manager.views, manager.views.train.view
    distance = (view.c2w[:, :, 3] - model.field.scenes.box.cpu().mean(0)).norm(dim=-1).median()
    return Shots(views.width, views.height, float(view.fx.median()), float(distance))


def open_store(folder: Path, pipeline: TdaPipeline, start: Start | None = None) -> Store:
    """Open a store for a run's scenes, made if there is none; more scenes will start where it says.

    Raises StoreError when it was made with other shared parts.
    """
    parts = shared_parts(pipeline.model, start)
    if not is_store(folder):
        about = told_by_run(pipeline.config.autoencoder)
        write_shared_parts(folder, parts, shots(pipeline.model, pipeline.datamanager), about)
    store, own = Store(folder), shared_hash(parts)
    if store.manifest.hash != own:
        raise StoreError(
            f"{folder} holds scenes of the shared parts {store.manifest.hash}, and this run has {own}: they cannot live"
            " in one store. Name another folder, or learn the scenes with that store's parts."
        )
    return store


def export_run(load_config: Path, folder: Path, precision: Precision = "int4") -> Store:
    """Put a finished run's scenes into a store. Raises TdaError for what is no finished run, or one in waves."""
    require_writable(folder)
    pipeline, manifest = open_run(load_config), read_manifest(load_config)
    if len(pipeline.waves) > 1:
        raise TdaError(
            f"{load_config} was learnt in waves, and its checkpoint holds the last one alone. Its scenes are in"
            f" {manifest.get('store')} already; copy that folder, or take scenes over with tda store add."
        )
    provenance = {"data": Path(manifest["data"]).name} | {k: manifest.get(k) for k in ("seed", "versions")}
    provenance["visits"] = {phase["name"]: phase["visits"] for phase in manifest.get("phases", [])}
    store = open_store(folder, pipeline)
    store_scenes(store, pipeline, manifest["metrics"], provenance, precision)
    return store


def store_scenes(
    store: Store,
    pipeline: TdaPipeline,
    metrics: Mapping[str, Any] | None,
    provenance: Mapping[str, Any],
    precision: Precision = "int4",
    leave_out: Collection[str] = (),
) -> None:
    """Put the scenes that a run has in memory into a store, a file for each 64, in place of what it held of them.

    Metrics are those of `evaluate`; without, the scenes are not finished. Left out are those that are named and those
    whose numbers are not all finite. Raises OSError where there is no room: what was there before stays then.
    """
    names = pipeline.datamanager.scene_names
    scenes = learnt_scenes(pipeline.model.field.scenes, names, metrics, provenance, leave_out)
    for i in track(range(0, len(scenes), TOGETHER), f"Writing {counted(len(scenes), 'scene')} into the store"):
        store.add(scenes[i : i + TOGETHER], precision)
    store.prune()
