"""`tda learn`: put a whole inventory into a store, on one machine or on many."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def learn(
    data: str,
    store: str,
    autoencoder: Path | None = None,
    scenes: tuple[str, ...] | None = None,
    engine: Literal["inline", "ray"] = "inline",
    address: str | None = None,
    workers: int | None = None,
    gpus_per_worker: float | None = None,
    shard: str = "0/1",
    scenes_per_wave: int | None = None,
    scenes_per_step: int | None = None,
    visits: float | None = None,
    seed: int | None = None,
    precision: Literal["int4", "int8", "fp16", "fp32"] | None = None,
    replan: bool = False,
    again: bool = False,
) -> None:
    """Learn all scenes of an atlas that a store lacks. Stop it at any time: the same line goes on.

    Args:
        data: The atlas: a folder, or s3://BUCKET/FOLDER.
        store: The store, likewise. Where there is none, it is made from stage 1.
        autoencoder: Folder of the tda-ae run to make a new store from; by default the newest one below outputs/.
        scenes: Scenes to learn: names, globs, ranges, split files; by default those of the atlas' splits.json, or all.
        engine: inline learns in this process; ray on all machines of a Ray cluster (pip install
            'tda-nerfstudio[cluster]').
        address: HOST:PORT of a Ray cluster, or auto for the one of this machine; without it, one is started here.
        workers: Waves to learn at a time with Ray; by default one for each CPU core, or for each share of a GPU.
        gpus_per_worker: Share of a GPU for each, 0 for none; by default 0.5 where there are GPUs.
        shard: I/N learns the I-th of N parts of the plan, counted from 0, as in an array of jobs.
        scenes_per_wave: Scenes that are learnt together and lost together with a worker; 16 by default.
        scenes_per_step: Scenes of a step, 4 by default; with 1, no bit of a scene depends on the others.
        visits: Visits of each scene; by default 1,024 steps of every scene.
        seed: Number that all randomness follows from; 42 by default.
        precision: Precision of micro planes in the store; int4 by default.
        replan: Leave an unfinished plan and plan anew for all scenes that are not learnt yet.
        again: Learn scenes once more that were set aside.
    """
    from tda_nerfstudio.base.errors import TdaError
    from tda_nerfstudio.engine.drive import How, learn_inventory
    from tda_nerfstudio.engine.lease import Shard
    from tda_nerfstudio.engine.on_ray import Cluster
    from tda_nerfstudio.engine.planning import Wishes

    if engine == "inline":
        for option, value in (("address", address), ("workers", workers), ("gpus-per-worker", gpus_per_worker)):
            if value is not None:
                raise TdaError(f"--{option} is for --engine ray. Add that, or leave --{option} out.")
    if workers is not None and workers < 1:
        raise TdaError(f"--workers {workers} must be at least 1.")
    if gpus_per_worker is not None and not (0 <= gpus_per_worker <= 1 or gpus_per_worker in range(2, 9)):
        raise TdaError(f"--gpus-per-worker {gpus_per_worker} must be from 0 to 1, or a whole number up to 8.")
    part = Shard.read(shard)
    _make_store(data, store, autoencoder)
    wishes = Wishes(scenes, scenes_per_wave, seed, visits, scenes_per_step, precision)
    how = How(engine, Cluster(address, workers, gpus_per_worker), part, replan, again)
    if code := learn_inventory(data, store, wishes, how).code:
        raise SystemExit(code)


def scaling(
    data: str,
    store: str,
    out: Path = Path("scaling"),
    scenes: int = 96,
    visits: float | None = None,
    price: float = 0.04,
    scene_seconds: float | None = None,
) -> None:
    """Measure what a store's scenes cost here, with one worker and with two, and simulate up to 512 workers from that.

    Args:
        data: The atlas, with at least so many scenes.
        store: A store that has the shared parts; it does not change.
        out: Folder for scaling.json, which is measured once, and scaling.md.
        scenes: Scenes to learn in each measurement.
        visits: Visits of each scene, as for tda learn.
        price: Of a worker's hour, in dollars.
        scene_seconds: Seconds of a scene to simulate with in place of the measured ones, as of larger images.
    """
    from tda_nerfstudio.studies.scaling_run import scaling

    print(scaling(data, store, out, scenes, visits, price, scene_seconds))


def _make_store(data: str, store: str, autoencoder: Path | None) -> None:
    """Make a store from a stage 1, unless there is one."""
    from tda_nerfstudio.base.atomic import require_writable
    from tda_nerfstudio.base.errors import TdaError
    from tda_nerfstudio.base.places import place
    from tda_nerfstudio.store.shared_parts import is_store

    folder = place(store)
    if is_store(folder):
        if autoencoder is not None:
            raise TdaError(f"{store} is a store already and keeps its shared parts: leave --autoencoder out.")
        return
    from tda_nerfstudio.engine.planning import new_store
    from tda_nerfstudio.plugin import stage_one

    facts = stage_one.find(Path("outputs"), autoencoder, option="--autoencoder")
    require_writable(folder)
    print(f"Making the store {store} from stage 1 at {facts['run']}.")
    parts, _ = stage_one.read(Path(facts["run"]), None)
    new_store(folder, data, parts, stage_one.tell(Path(facts["run"])))
