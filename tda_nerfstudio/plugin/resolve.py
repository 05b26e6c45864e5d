"""Fill in what a configuration leaves open, so that the config.yml that is saved rebuilds the same run anywhere."""

from __future__ import annotations

import math
from pathlib import Path

from tda_nerfstudio.atlas.atlas import Atlas
from tda_nerfstudio.atlas.bounds import reach_out
from tda_nerfstudio.atlas.selection import split_of
from tda_nerfstudio.autoencoder.build import resolve as resolve_autoencoder
from tda_nerfstudio.base.atomic import require_writable
from tda_nerfstudio.base.errors import TdaError, counted
from tda_nerfstudio.base.terminal import CONSOLE, warn
from tda_nerfstudio.core.cameras import parts_shape
from tda_nerfstudio.learning.schedule import Setting, StageOne
from tda_nerfstudio.learning.waves import plan
from tda_nerfstudio.plugin.atlas_report import report_atlas
from tda_nerfstudio.plugin.check_options import check_options
from tda_nerfstudio.plugin.run_config import RunConfig
from tda_nerfstudio.plugin.run_folder import in_selector, take_folder
from tda_nerfstudio.plugin.run_note import check_note, make_note, read_note, write_note
from tda_nerfstudio.plugin.stage_two import atlas_of_stage_one, take_from_stage_one
from tda_nerfstudio.plugin.tda_dataparser import TdaAtlas
from tda_nerfstudio.plugin.tda_pipeline import TdaPipelineConfig
from tda_nerfstudio.plugin.which_scenes import OPTION

DEMO_SCENES = 32


def resolve(config: RunConfig) -> None:
    """Resolve data, stage 1, sizes, seeds and steps in place. Raises TdaError for whatever cannot work."""
    check_options(config)
    require_writable(config.folder or config.output_dir.expanduser())
    _find_atlas(config)
    take_folder(config)
    require_writable(config.get_base_dir())
    _go_on_where_it_was_cut(config)
    began = read_note(config.goes_on_from())
    if config.pipeline.starts_from == "stage-one":
        take_from_stage_one(config, began)
    _resolve_autoencoder(config.pipeline)
    _choose_start(config.pipeline)
    config.pipeline.datamanager.seed = config.pipeline.model.seed = config.machine.seed
    parser = TdaAtlas(config.pipeline.datamanager.dataparser)
    atlas = parser.atlas()
    note = make_note(config.pipeline, atlas.names)
    if began:
        check_note(began, note, config.resume_command())
    parser.config.names, parser.config.broken = atlas.names, dict(atlas.broken)
    report_atlas(atlas)
    if config.pipeline.starts_from == "stage-one" and config.goes_on_from() is None:
        _check_box(parser, may_fail=config.pipeline.schedule.independent)
    parser.box()
    _count_steps(config, atlas)
    if not began:
        write_note(config.get_base_dir(), note)


def _find_atlas(config: RunConfig) -> None:
    """Find the atlas, its split files and the folder for runs, so that they are the same from any folder."""
    manager, parser = config.pipeline.datamanager, config.pipeline.datamanager.dataparser
    data = manager.data or (parser.data if parser.data != Path() else None)
    if data is None and config.pipeline.starts_from == "stage-one":
        data = atlas_of_stage_one(config.pipeline, config.output_dir)
    elif data is None:
        data = _demo_atlas(config.output_dir / "demo-atlas")
        parser.scenes = parser.scenes or ("splits.json",)
    config.data = manager.data = parser.data = Path(data).expanduser().resolve()
    parser.split_key = parser.split_key or config.method_name
    if config.folder is None:
        parser.names = parser.broken = None
        parser.scenes = parser.scenes or split_of(config.data, parser.split_key or "", OPTION)
    parser.scenes = tuple(_absolute(selector, config.data) for selector in parser.scenes)
    parser.test_views = tuple(_absolute(selector, config.data) for selector in parser.test_views)
    config.output_dir = config.output_dir.expanduser().resolve()
    config.set_experiment_name()


def _demo_atlas(folder: Path) -> Path:
    from tda_nerfstudio.making.demo import write_demo_atlas

    CONSOLE.print(
        f"No --data was given: using the embedded demo class, {DEMO_SCENES} vehicles in {folder}.", markup=False
    )
    write_demo_atlas(folder, scenes=DEMO_SCENES)
    return folder


def _absolute(selector: str, root: Path) -> str:
    """Find a split file here, in the atlas or beside it."""

    def find(path: Path) -> Path:
        found = (folder / path for folder in (Path.cwd(), root, root.parent) if (folder / path).is_file())
        return next((file.resolve() for file in found), path)

    return in_selector(selector, find)


def _go_on_where_it_was_cut(config: RunConfig) -> None:
    """Continue the run whose folder this is: its newest checkpoint is never overwritten.

    A run that began elsewhere (--load-dir) and has checkpoints of its own goes on from those.
    """
    folder = config.get_checkpoint_dir()
    if (config.folder is not None or config.goes_on_from() is None) and any(folder.glob("step-*.ckpt")):
        config.load_dir, config.load_step, config.load_checkpoint = folder, None, None


def _resolve_autoencoder(pipeline: TdaPipelineConfig) -> None:
    """Fill in the autoencoder's sizes."""
    pipeline.model.autoencoder = resolve_autoencoder(pipeline.model.autoencoder)


def _choose_start(pipeline: TdaPipelineConfig) -> None:
    """Choose the weights that stage 1's autoencoder begins with, by the latent space that is wanted, and say which."""
    autoencoder = pipeline.model.autoencoder
    if isinstance(pipeline.schedule, StageOne) and pipeline.schedule.space == "colours" and autoencoder.kind == "light":
        autoencoder.start = "colours"
    if isinstance(pipeline.schedule, StageOne) and autoencoder.kind == "light":
        weights = "the package's pre-trained weights" if autoencoder.knows else "scratch"
        CONSOLE.print(f"The autoencoder (f = {autoencoder.f}, C = {autoencoder.channels}) starts from {weights}.")


def _check_box(parser: TdaAtlas, may_fail: bool) -> None:
    """Warn when new scenes reach out of stage 1's box by more than the margin that fitting leaves.

    Where images cannot be read, that is said, or raised as TdaError unless it `may_fail`.
    """
    try:
        beyond = reach_out(parser.box(), parser.atlas().scenes)
    except TdaError as error:
        if not may_fail:
            raise
        CONSOLE.print(f"Whether scenes reach out of the box is not known: {error}", style="yellow", markup=False)
        return
    if beyond:
        warn(
            f"Some of these scenes reach out of stage 1's box: {beyond} of its side. What lies outside is not seen."
            " Scale them like stage 1's scenes, or train tda-ae with --pipeline.datamanager.dataparser.box around all"
            " of them."
        )


def _count_steps(config: RunConfig, atlas: Atlas) -> None:
    """Count the run's steps, and say which phases a small total leaves out."""
    total, per_wave = config.max_num_iterations, config.pipeline.scenes_per_wave
    size, codec = config.pipeline.datamanager.step_size, config.pipeline.model.autoencoder
    parts = math.prod(parts_shape(atlas.height, atlas.width, codec.f, codec.sub or 1))
    triplane, start_visits = config.pipeline.model.triplane, getattr(config.pipeline.schedule, "start_visits", None)
    if start_visits and not triplane.starts:
        raise TdaError(
            "--pipeline.schedule.start-visits teaches the starter, and there is none. Leave it out, or give"
            " --pipeline.model.triplane.starter and micro-channels of 1 or more."
        )
    schedule = config.pipeline.schedule = config.pipeline.schedule.fitted(
        Setting(codec, size.share(parts), atlas.train_views, len(atlas.scenes), triplane.starts)
    )
    waves = plan(schedule, size, parts, len(atlas.scenes), per_wave, total)
    if not waves:
        raise TdaError("The schedule has no steps: give some phase more visits.")
    config.max_num_iterations = config.pipeline.steps = waves[-1].end
    if len(waves) > 1:
        CONSOLE.print(f"In {len(waves)} waves of {counted(per_wave or 0, 'scene')}, one after the other.")
    placed = [phase for wave in waves for phase in wave.phases]
    for phase in schedule.phases():
        if phase.visits > 0 and phase not in placed:
            CONSOLE.print(f"[yellow]{total} steps leave none to the phase '{phase.name}': it is left out.[/yellow]")
