"""Fill in where stage 2 starts: at a finished tda-ae run, or at a store that is there already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tda_nerfstudio.base.atomic import require_writable
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.learning.schedule import StageTwo
from tda_nerfstudio.learning.scoring import quality
from tda_nerfstudio.plugin import stage_one
from tda_nerfstudio.plugin.tda_dataparser import TdaAtlas
from tda_nerfstudio.plugin.which_scenes import left_over, warn_of_stage_one
from tda_nerfstudio.store.shared_parts import is_store
from tda_nerfstudio.store.store import Store

if TYPE_CHECKING:
    from tda_nerfstudio.plugin.tda_trainer import TdaTrainerConfig


def resolve_start(config: TdaTrainerConfig, resuming: bool, began: dict[str, Any]) -> None:
    """Take sizes and box from where stage 2 starts, and choose the scenes that its store does not hold yet.

    A run that goes on (`began` is its note) has the start and the scenes that it began with. Raises TdaError for what
    cannot work.
    """
    pipeline, parser = config.pipeline, config.pipeline.datamanager.dataparser
    _check_independence(config)
    if pipeline.starts_from != "stage-one":
        return
    if pipeline.store is not None:
        pipeline.store = pipeline.store.expanduser().resolve()
        require_writable(pipeline.store)
    if began and pipeline.store is not None:
        recorded = began["autoencoder"]
        pipeline.autoencoder = None if recorded is None else pipeline.autoencoder or Path(recorded)
        parser.scenes = tuple(began["scenes"])
    store = Store(pipeline.store) if pipeline.store is not None and is_store(pipeline.store) else None
    if store is not None and pipeline.autoencoder is None:
        _start_from_store(config, store, resuming)
    elif resuming and config.folder is not None and not (pipeline.autoencoder or Path()).exists():
        CONSOLE.print(
            f"Stage 1 at {pipeline.autoencoder} is not there any more: going on with what this run has kept of it.",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    else:
        _start_from_run(config, resuming)
    if pipeline.store is not None and not began:
        parser.scenes = _new_scenes(parser, store)


def _check_independence(config: TdaTrainerConfig) -> None:
    """Refuse waves and stores for scenes that are not independent of each other."""
    pipeline = config.pipeline
    if pipeline.schedule.independent:
        if pipeline.scenes_per_wave is not None and pipeline.scenes_per_wave < 1:
            raise TdaError(f"--pipeline.scenes-per-wave must be at least 1, not {pipeline.scenes_per_wave}.")
        return
    for option, given in (("scenes-per-wave", pipeline.scenes_per_wave), ("store", pipeline.store)):
        if given is not None:
            raise TdaError(
                f"--pipeline.{option} is for tda-scenes with frozen shared parts: where base planes, MLP or decoder"
                " move, every scene depends on all others. Leave it out, or --pipeline.schedule.shared finetune."
            )


def _start_from_store(config: TdaTrainerConfig, store: Store, resuming: bool) -> None:
    pipeline, shared = config.pipeline, store.manifest.config
    pipeline.autoencoder_hash = store.shared.autoencoder.fingerprint()
    pipeline.model.autoencoder, pipeline.model.triplane = shared.autoencoder, shared.triplane
    pipeline.model.sampling = shared.sampling
    pipeline.datamanager.dataparser.box = tuple(store.shared.scenes.box.flatten().tolist())
    _check_least_squares(config, f"the store {store.folder}")
    CONSOLE.print(
        f"Starting from the store {store.folder}, which holds {len(store)} scenes.", markup=False, soft_wrap=True
    )
    known = None if resuming else stage_one.known(pipeline.autoencoder, pipeline.store)
    if known is not None:
        warn_of_stage_one(known, pipeline.datamanager.dataparser, [])


def _start_from_run(config: TdaTrainerConfig, resuming: bool) -> None:
    pipeline = config.pipeline
    chosen = pipeline.autoencoder
    manifest = stage_one.find(config.output_dir, chosen, pipeline.autoencoder_hash)
    model = manifest["model"]
    pipeline.autoencoder = Path(manifest["run"])
    pipeline.autoencoder_hash = model["fingerprint"]
    pipeline.model.triplane, pipeline.model.autoencoder = stage_one.sizes_of(manifest)
    pipeline.datamanager.dataparser.box = tuple(model["box"])
    _check_least_squares(config, f"stage 1 at {manifest['run']}")
    start = "Resuming on" if resuming else "Starting from"
    CONSOLE.print(
        f"{start} the {'newest' if chosen is None else 'chosen'} stage 1:"
        f" {manifest['run']}\n  trained on {len(manifest['scene_names'])} scenes of {manifest['data']};"
        f" {quality(manifest['metrics'])}",
        markup=False,
        soft_wrap=True,
    )
    parser = pipeline.datamanager.dataparser
    if not parser.scenes and config.folder is None and Path(manifest["data"]) == parser.data:
        parser.scenes = left_over(parser.data, manifest)
    if not resuming:
        warn_of_stage_one(manifest, parser, stage_one.finished_runs(config.output_dir))


def _check_least_squares(config: TdaTrainerConfig, where: str) -> None:
    schedule = config.pipeline.schedule
    wanted = isinstance(schedule, StageTwo) and schedule.start == "least-squares"
    if wanted and not config.pipeline.model.triplane.shares:
        raise TdaError(
            f"--pipeline.schedule.start least-squares fits the weights of base planes, and {where} has none. Start"
            " from mean or cold, or train tda-ae with base planes."
        )


def _new_scenes(parser, store: Store | None) -> tuple[str, ...]:
    """List the chosen scenes that a store does not hold, or not finished."""
    names = TdaAtlas(parser).whole().names
    new = [name for name in names if store is None or name not in store or not store.record(name).finished]
    if store is not None and not new:
        raise TdaError(
            f"The store {store.folder} holds all {len(names)} scenes of {parser.data} already. To learn one again,"
            f" remove it first: tda store remove {store.folder} {names[0]}"
        )
    if len(new) < len(names):
        known = len(names) - len(new)
        CONSOLE.print(f"{known} of {len(names)} scenes are in it already: {len(new)} are left to learn.")
    return tuple(new)
