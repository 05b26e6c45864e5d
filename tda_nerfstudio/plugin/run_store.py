"""Put the scenes of a run into a store."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tda_nerfstudio.autoencoder.build import resolve
from tda_nerfstudio.base.atomic import require_writable
from tda_nerfstudio.base.errors import StoreError, TdaError, counted
from tda_nerfstudio.base.places import place
from tda_nerfstudio.base.progress import track
from tda_nerfstudio.learning.beginning import mean_beginning
from tda_nerfstudio.learning.learn_wave import learnt_scenes
from tda_nerfstudio.plugin import stage_one
from tda_nerfstudio.plugin.finished import read_finished
from tda_nerfstudio.plugin.open_run import open_run
from tda_nerfstudio.plugin.tda_model import TdaModel
from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline
from tda_nerfstudio.store.manifest import SharedConfig
from tda_nerfstudio.store.precision import Precision
from tda_nerfstudio.store.scene_files import TOGETHER
from tda_nerfstudio.store.shared_parts import SharedParts, is_store, shared_hash, write_shared_parts
from tda_nerfstudio.store.store import Store


def shared_parts(model: TdaModel, given: SharedParts | None) -> SharedParts:
    """Collect the shared parts of a run. More scenes will begin where `given` says, or at the mean of this run's.

    Raises TdaError when that mean is needed and all scenes diverged.
    """
    config, table = model.config, model.field.scenes
    if given is not None:
        weights, occupied = given.weights, given.occupied
    else:
        weights, occupied, _ = mean_beginning(table.weights.detach(), table.occupied, "This run")
    origin = {"start": "scratch", "source": None, "revision": None}  # a store needs none of them
    shared = SharedConfig(config.triplane, replace(resolve(config.autoencoder), **origin), config.sampling)
    return SharedParts(shared, table, model.autoencoder, weights, occupied)


def open_store(folder: Path, pipeline: TdaPipeline, given: SharedParts | None = None) -> Store:
    """Open the store in a folder for a run's scenes, or make one. `given` is as for `shared_parts`.

    Raises StoreError when the store has other shared parts.
    """
    parts = shared_parts(pipeline.model, given)
    if not is_store(folder):
        about = stage_one.tell(pipeline.config.autoencoder)
        camera = pipeline.datamanager.views.usual_camera(parts.scenes.box)
        write_shared_parts(folder, parts, camera, about)
    store, own = Store(folder), shared_hash(parts)
    if store.manifest.hash != own:
        raise StoreError(
            f"{folder} holds scenes of the shared parts {store.manifest.hash}, and this run has {own}: they cannot live"
            " in one store. Name another folder, or learn the scenes with that store's parts."
        )
    return store


def export_run(load_config: Path, folder: Path | str, precision: Precision = "int4") -> Store:
    """Put the scenes of a finished run into a store in a folder.

    Raises TdaError for a run that is not finished and for one in waves, StoreError for a store of other shared parts.
    """
    folder = place(folder)
    require_writable(folder)
    pipeline, manifest = open_run(load_config), read_finished(load_config)
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
    """Put the scenes that a run has in memory into a store, 64 in a file. They replace scenes of the same names.

    Other arguments are as for `learnt_scenes`. Raises OSError when the disk is full; then the store is as it was.
    """
    names = pipeline.datamanager.scene_names
    scenes = learnt_scenes(pipeline.model.field.scenes, names, metrics, provenance, leave_out)
    for i in track(range(0, len(scenes), TOGETHER), f"Writing {counted(len(scenes), 'scene')} into the store"):
        store.add(scenes[i : i + TOGETHER], precision)
    store.prune()
