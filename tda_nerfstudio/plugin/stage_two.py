"""What a new stage 2 takes from stage 1 or from an existing store: atlas, sizes, box and scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tda_nerfstudio.base.atomic import require_writable
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.learning.schedule import StageTwo
from tda_nerfstudio.learning.scoring import quality
from tda_nerfstudio.plugin import stage_one
from tda_nerfstudio.plugin.run_config import RunConfig
from tda_nerfstudio.plugin.tda_pipeline import TdaPipelineConfig
from tda_nerfstudio.plugin.which_scenes import left_over, not_held, warn_of_stage_one
from tda_nerfstudio.store.shared_parts import is_store
from tda_nerfstudio.store.store import Store


def atlas_of_stage_one(pipeline: TdaPipelineConfig, output_dir: Path) -> Path:
    """Return the atlas of stage 1, for a stage 2 without --data. Raises TdaError if it is gone or not known."""
    if pipeline.autoencoder is None and pipeline.store is not None and is_store(pipeline.store.expanduser()):
        raise TdaError(f"Say which scenes to learn into the store {pipeline.store}: --data ATLAS.")
    facts = stage_one.find(output_dir.expanduser(), pipeline.autoencoder)
    data = Path(facts["data"])
    if not data.is_dir():
        raise TdaError(
            f"Stage 1 at {facts['run']} was trained on {data}, which is not there any more. Say which scenes to"
            " learn: --data ATLAS."
        )
    CONSOLE.print(f"No --data was given: using stage 1's atlas, {data}.", markup=False, soft_wrap=True)
    return data


def take_from_stage_one(config: RunConfig, began: dict[str, Any]) -> None:
    """Set sizes and box to those of stage 1 or of the store, and leave out scenes that the store holds.

    A resumed run keeps the stage 1 and the scenes of its note, `began`. Raises TdaError for what cannot work.
    """
    pipeline, parser = config.pipeline, config.pipeline.datamanager.dataparser
    if pipeline.store is not None:
        pipeline.store = pipeline.store.expanduser().resolve()
        require_writable(pipeline.store)
        if began:
            recorded = began["autoencoder"]
            pipeline.autoencoder = None if recorded is None else pipeline.autoencoder or Path(recorded)
            parser.scenes = tuple(began["scenes"])
    store = Store(pipeline.store) if pipeline.store is not None and is_store(pipeline.store) else None
    if store is not None and pipeline.autoencoder is None:
        _take_from_store(config, store)
    elif config.goes_on_from() and config.folder is not None and not (pipeline.autoencoder or Path()).exists():
        CONSOLE.print(
            f"Stage 1 at {pipeline.autoencoder} is not there any more: going on with what this run has kept of it.",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    else:
        _take_from_run(config)
    if pipeline.store is not None and not began:
        parser.scenes = not_held(parser, store)


def _take_from_store(config: RunConfig, store: Store) -> None:
    pipeline, parts = config.pipeline, store.shared
    pipeline.autoencoder_hash = parts.autoencoder.fingerprint()
    pipeline.model.triplane, pipeline.model.autoencoder = parts.config.triplane, parts.config.autoencoder
    pipeline.model.sampling = parts.config.sampling
    pipeline.datamanager.dataparser.box = tuple(parts.scenes.box.flatten().tolist())
    _check_least_squares(pipeline, f"the store {store.folder}")
    CONSOLE.print(
        f"Starting from the store {store.folder}, which holds {len(store)} scenes.", markup=False, soft_wrap=True
    )
    facts = None if config.goes_on_from() else stage_one.known(None, store.folder)
    if facts is not None:
        warn_of_stage_one(facts, pipeline.datamanager.dataparser)


def _take_from_run(config: RunConfig) -> None:
    pipeline, parser, chosen = config.pipeline, config.pipeline.datamanager.dataparser, config.pipeline.autoencoder
    facts = stage_one.find(config.output_dir, chosen, pipeline.autoencoder_hash)
    pipeline.autoencoder, pipeline.autoencoder_hash = Path(facts["run"]), facts["model"]["fingerprint"]
    pipeline.model.triplane, pipeline.model.autoencoder = stage_one.sizes_of(facts)
    parser.box = tuple(facts["model"]["box"])
    _check_least_squares(pipeline, f"stage 1 at {facts['run']}")
    CONSOLE.print(
        f"{'Resuming on' if config.goes_on_from() else 'Starting from'} the {'chosen' if chosen else 'newest'} stage 1:"
        f" {facts['run']}\n  trained on {len(facts['scene_names'])} scenes of {facts['data']};"
        f" {quality(facts['metrics'])}",
        markup=False,
        soft_wrap=True,
    )
    if not parser.scenes and config.folder is None and Path(facts["data"]) == parser.data:
        parser.scenes = left_over(parser.data, facts["scene_names"])
    if not config.goes_on_from():
        warn_of_stage_one(facts, parser, stage_one.finished_runs(config.output_dir))


def _check_least_squares(pipeline: TdaPipelineConfig, where: str) -> None:
    wanted = isinstance(pipeline.schedule, StageTwo) and pipeline.schedule.start == "least-squares"
    if wanted and not pipeline.model.triplane.shares:
        raise TdaError(
            f"--pipeline.schedule.start least-squares fits the weights of base planes, and {where} has none. Start"
            " from mean or cold, or train tda-ae with base planes."
        )
