"""Fill in what a configuration leaves open, so that the config.yml that is saved rebuilds the same run anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tda_nerfstudio.atlas.atlas import Atlas
from tda_nerfstudio.atlas.bounds import fit_box
from tda_nerfstudio.autoencoder.build import resolve as resolve_autoencoder
from tda_nerfstudio.base.atomic import require_writable
from tda_nerfstudio.base.errors import TdaError, counted
from tda_nerfstudio.base.terminal import CONSOLE, warn
from tda_nerfstudio.learning.schedule import SHORT_WARMUP, WARMUP, StageOne
from tda_nerfstudio.learning.waves import plan
from tda_nerfstudio.plugin.atlas_report import report_oddities
from tda_nerfstudio.plugin.beginning import check_beginning, describe_beginning, read_beginning, write_beginning
from tda_nerfstudio.plugin.check_options import check_options
from tda_nerfstudio.plugin.resolve_start import resolve_start
from tda_nerfstudio.plugin.run_folder import in_selector, take_folder
from tda_nerfstudio.plugin.tda_dataparser import TdaAtlas
from tda_nerfstudio.plugin.which_scenes import atlas_of_stage_one, split_of

if TYPE_CHECKING:
    from tda_nerfstudio.plugin.tda_trainer import TdaTrainerConfig

DEMO_SCENES = 32
BOX_TOLERANCE = 0.05
"""Share of the box' side by which new scenes may leave it: fitted boxes carry that much margin."""


def resolve(config: TdaTrainerConfig) -> None:
    """Resolve data, stage 1, sizes, seeds and steps in place. Raises TdaError for whatever cannot work."""
    check_options(config)
    require_writable(config.folder or config.output_dir.expanduser())
    _data(config)
    take_folder(config)
    require_writable(config.get_base_dir())
    _go_on(config)
    began = read_beginning(config)
    resolve_start(config, resuming(config), began)
    model = config.pipeline.model
    model.autoencoder = resolve_autoencoder(model.autoencoder)
    _start(config)
    if config.pipeline.datamanager.rays_per_view is not None and model.autoencoder.f > 1:
        raise TdaError(
            "--pipeline.datamanager.rays-per-view is for tda-rgb: with an autoencoder, images are encoded and decoded"
            " whole. Leave it out; smaller steps come from --pipeline.datamanager.scenes-per-step."
        )
    config.pipeline.datamanager.seed = model.seed = config.machine.seed
    parser = TdaAtlas(config.pipeline.datamanager.dataparser)
    atlas = parser.atlas()
    note = describe_beginning(config, atlas.names)
    if began:
        check_beginning(config, began, note)
    parser.config.names, parser.config.broken = atlas.names, dict(atlas.broken)
    _report(atlas)
    if config.pipeline.starts_from == "stage-one" and not resuming(config):
        try:
            _check_box(parser.box(), fit_box(atlas.scenes))
        except TdaError as error:
            if not config.pipeline.schedule.independent:
                raise
            CONSOLE.print(f"Whether scenes reach out of the box is not known: {error}", style="yellow", markup=False)
    parser.box()
    _steps(config, atlas)
    if not began:
        write_beginning(config, note)


def _data(config: TdaTrainerConfig) -> None:
    manager = config.pipeline.datamanager
    parser = manager.dataparser
    data = manager.data or (parser.data if parser.data != Path() else None)
    parser.split_key = parser.split_key or config.method_name
    if data is None and config.pipeline.starts_from == "stage-one":
        data = atlas_of_stage_one(config)
    elif data is None:
        from tda_nerfstudio.making.demo import write_demo_atlas

        data = config.output_dir / "demo-atlas"
        CONSOLE.print(
            f"No --data was given: using the embedded demo class, {DEMO_SCENES} vehicles in {data}.", markup=False
        )
        write_demo_atlas(data, scenes=DEMO_SCENES)
        parser.scenes = parser.scenes or ("splits.json",)
    config.data = manager.data = parser.data = Path(data).expanduser().resolve()
    if config.folder is None:
        parser.names = parser.broken = None
        parser.scenes = parser.scenes or split_of(config.data, parser.split_key or "")
    parser.scenes = tuple(_absolute(selector, config.data) for selector in parser.scenes)
    parser.test_views = tuple(_absolute(selector, config.data) for selector in parser.test_views)
    config.output_dir = config.output_dir.expanduser().resolve()
    config.set_experiment_name()


def _go_on(config: TdaTrainerConfig) -> None:
    """Continue the run whose folder this is, where it was cut: its newest checkpoint is never overwritten.

    A run that began elsewhere (--load-dir) and has checkpoints of its own goes on from those.
    """
    folder = config.get_checkpoint_dir()
    if (config.folder is not None or not resuming(config)) and any(folder.glob("step-*.ckpt")):
        config.load_dir, config.load_step, config.load_checkpoint = folder, None, None


def resuming(config: TdaTrainerConfig) -> bool:
    """Tell whether a run goes on from a checkpoint."""
    return config.load_dir is not None or config.load_checkpoint is not None


def _absolute(selector: str, root: Path) -> str:
    """Find a split file here, in the atlas or beside it, so that the saved configuration works from any folder."""

    def find(path: Path) -> Path:
        found = (folder / path for folder in (Path.cwd(), root, root.parent) if (folder / path).is_file())
        return next((file.resolve() for file in found), path)

    return in_selector(selector, find)


def _start(config: TdaTrainerConfig) -> None:
    """Fit stage 1's warm-up to what its autoencoder starts from, and say what that is."""
    schedule, autoencoder = config.pipeline.schedule, config.pipeline.model.autoencoder
    if not isinstance(schedule, StageOne) or schedule.warmup_visits is not None:
        return
    schedule.warmup_visits = SHORT_WARMUP if autoencoder.knows else WARMUP
    if autoencoder.kind == "light":
        weights = "the package's pre-trained weights" if autoencoder.knows else "scratch"
        CONSOLE.print(f"The autoencoder (f = {autoencoder.f}, C = {autoencoder.channels}) starts from {weights}.")


def _report(atlas: Atlas) -> None:
    scenes = atlas.scenes
    CONSOLE.print(
        f"Atlas {atlas.root}: {counted(len(scenes), 'scene')} ({scenes[0].name} ... {scenes[-1].name}),"
        f" {sum(len(s.train) for s in scenes)} training and {sum(len(s.test) for s in scenes)} held-out views,"
        f" {atlas.width} x {atlas.height}",
        markup=False,
    )
    report_oddities(atlas)


def _check_box(box: Tensor, needed: Tensor) -> None:
    """Warn when new scenes reach out of stage 1's box by more than the margin that fitting leaves."""
    outside = torch.maximum(box[0] - needed[0], needed[1] - box[1]) / (box[1] - box[0])
    if float(outside.max()) > BOX_TOLERANCE:
        shares = ", ".join(f"{axis} by {100 * float(v):.0f} %" for axis, v in zip("xyz", outside, strict=True) if v > 0)
        warn(
            f"Some of these scenes reach out of stage 1's box: {shares} of its side. What lies outside is not seen."
            " Scale them like stage 1's scenes, or train tda-ae with --pipeline.datamanager.dataparser.box around all"
            " of them."
        )


def _steps(config: TdaTrainerConfig, atlas: Atlas) -> None:
    manager, total = config.pipeline.datamanager, config.max_num_iterations
    if total is not None and total < 1:
        raise TdaError(f"--max-num-iterations must be at least 1, not {total}.")
    size, pixels, per_wave = manager.step_size, atlas.width * atlas.height, config.pipeline.scenes_per_wave
    waves = plan(config.pipeline.schedule, size, pixels, len(atlas.scenes), per_wave, total)
    if not waves:
        raise TdaError("The schedule has no steps: give some phase more visits.")
    config.max_num_iterations = config.pipeline.steps = waves[-1].end
    if len(waves) > 1:
        CONSOLE.print(f"In {len(waves)} waves of {counted(per_wave or 0, 'scene')}, one after the other.")
    placed = [span.phase for wave in waves for span in wave.spans]
    for phase in config.pipeline.schedule.phases():
        if phase.visits > 0 and phase not in placed:
            CONSOLE.print(f"[yellow]{total} steps leave none to the phase '{phase.name}': it is left out.[/yellow]")
