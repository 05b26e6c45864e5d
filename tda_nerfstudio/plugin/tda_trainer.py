"""The trainer: what stock nerfstudio lacks for long jobs.

Configuration resolved before it is saved, atomic checkpoints, a save on Ctrl-C and SIGTERM, resume to the same total, a
forecast, and a manifest when a run is finished.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackLocation
from nerfstudio.engine.trainer import Trainer, TrainerConfig
from nerfstudio.utils.rich_utils import CONSOLE
from rich.markup import escape
from rich.panel import Panel

from tda_nerfstudio.core.atomic import save_tensors
from tda_nerfstudio.core.errors import TdaError
from tda_nerfstudio.core.hardware import describe
from tda_nerfstudio.core.interrupts import signals_deferred
from tda_nerfstudio.core.phases import StageTwo, span_at
from tda_nerfstudio.plugin import resolve
from tda_nerfstudio.plugin.evaluation import evaluate, quality
from tda_nerfstudio.plugin.forecast import forecast
from tda_nerfstudio.plugin.history import History
from tda_nerfstudio.plugin.manifest import describe_model, describe_phases, write_manifest
from tda_nerfstudio.plugin.storing import store_scenes
from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline, TdaPipelineConfig

STORE = "store"
"""Folder of a run's scene store, beside its config.yml."""


@contextmanager
def clear_errors() -> Iterator[None]:
    """Show an error that a user can act on as its message alone, and leave with exit code 1."""
    try:
        yield
    except TdaError as error:
        CONSOLE.print(Panel(escape(str(error)), title="[bold red]Stopped[/bold red]", border_style="red", expand=False))
        raise SystemExit(1) from None


@dataclass
class TdaTrainerConfig(TrainerConfig):
    """A nerfstudio run whose length is in visits per scene."""

    _target: type = field(default_factory=lambda: TdaTrainer)
    """target class to instantiate"""
    pipeline: TdaPipelineConfig = field(default_factory=TdaPipelineConfig)
    """Pipeline configuration"""
    max_num_iterations: int | None = None  # type: ignore[assignment]
    """Steps in all; the phases are rescaled to it. By default they follow from the schedule's visits per scene."""

    def save_config(self) -> None:
        """Resolve everything that is known only now (data, stage 1, sizes, steps), then save config.yml."""
        with clear_errors():
            resolve.resolve(self)
            super().save_config()


class TdaTrainer(Trainer):
    """Run phases to a fixed total of steps; lose nothing on the way."""

    config: TdaTrainerConfig
    pipeline: TdaPipeline

    def setup(self, test_mode: Literal["test", "val", "inference"] = "val") -> None:
        """Build everything, start from stage 1 or go on from a checkpoint, and say what is to come."""
        with clear_errors():
            if self.config.load_dir is not None:
                resolve.check_load_dir(self.config.load_dir)
            super().setup(test_mode)
            if self.config.pipeline.starts_from == "stage-one" and not resolve.resuming(self.config):
                self.pipeline.start_from_stage_one()
            self.pipeline.latent_folder = self.config.output_dir / "latents"
            spans = self.pipeline.plan(self.config.max_num_iterations)
            self.total_steps = spans[-1].end
            self.stop_signal: int | None = None
            self.last_step: int | None = None
            self.history = self.past()
            self.history.note_command()
            begin = TrainingCallback([TrainingCallbackLocation.BEFORE_TRAIN_ITERATION], self.begin_step)
            self.callbacks = [begin, *self.callbacks]
            self.callbacks += [
                TrainingCallback([TrainingCallbackLocation.AFTER_TRAIN_ITERATION], self.end_step),
                TrainingCallback([TrainingCallbackLocation.AFTER_TRAIN], self.finish),
            ]
            CONSOLE.print(forecast(self.pipeline, spans, self._start_step))

    def past(self) -> History:
        """Take over what the checkpoint that was loaded tells of earlier sessions; older ones tell nothing."""
        if not self._start_step:
            return History()
        folder, file = self.config.load_dir, self.config.load_checkpoint
        path = folder / self.checkpoint_of(self._start_step - 1).name if folder is not None else file
        assert path is not None
        return History(**torch.load(path, map_location="cpu", weights_only=True, mmap=True).get("history", {}))

    def train(self) -> None:
        """Train from the first step, or the one after the loaded checkpoint's, up to the total."""
        remaining = self.total_steps - self._start_step
        if remaining <= 0:
            CONSOLE.print(f"Nothing to train: step {self._start_step} of {self.total_steps} is already done.")
            self.step = self._start_step - 1
            self.save_checkpoint(self.step)
            self.finish(self.step)
            return
        self.config.max_num_iterations = remaining  # nerfstudio counts from the step it starts at
        try:
            with clear_errors(), self.errors_saved(), signals_deferred(self.ask_to_stop):
                super().train()
        finally:
            self.config.max_num_iterations = self.total_steps

    @contextmanager
    def errors_saved(self) -> Iterator[None]:
        """Save what was learnt before an error, a damaged image say, ends the run."""
        try:
            yield
        except TdaError as error:
            if self.last_step is None:
                raise
            if not self.checkpoint_of(self.last_step).exists():
                self.save_checkpoint(self.last_step)
            raise TdaError(
                f"{error} Step {self.last_step} is saved; go on from it with:\n{self.resume_command()}"
            ) from error

    def ask_to_stop(self, number: int) -> None:
        """Turn a signal into a save at the end of the step."""
        self.stop_signal = number
        CONSOLE.print("\nStopping after this step: saving a checkpoint. Press Ctrl-C again to leave without.")

    def begin_step(self, step: int) -> None:
        """Start the step's clock."""
        self.history.begin_step()

    def end_step(self, step: int) -> None:
        """Note that a step is whole; save and leave when a signal came."""
        self.last_step = step
        self.history.end_step(span_at(self.pipeline.spans, step).phase.name)
        if self.stop_signal is not None:
            self.save_checkpoint(step)
            CONSOLE.print(f"Saved step {step}. Go on with:\n  {self.resume_command()}", markup=False, soft_wrap=True)
            sys.stdout.flush()
            raise SystemExit(128 + self.stop_signal)

    def resume_command(self) -> str:
        """Spell the command that continues this run."""
        return shlex.join(
            ["ns-train", str(self.config.method_name), "--load-config", str(self.base_dir / "config.yml")]
        )

    def checkpoint_of(self, step: int) -> Path:
        """Where the checkpoint of a step is kept."""
        return self.checkpoint_dir / f"step-{step:09d}.ckpt"

    def save_checkpoint(self, step: int) -> None:
        """Save model and optimizers at once or not at all; older files go only when the new one is safe."""
        path = self.checkpoint_of(step)
        save_tensors(
            path,
            {
                "step": step,
                "pipeline": self.pipeline.state_dict(),
                "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.optimizers.items()},
                "schedulers": {},
                "scalers": self.grad_scaler.state_dict(),
                "history": self.history.state(),
            },
        )
        if self.config.save_only_latest_checkpoint:
            for old in self.checkpoint_dir.glob("step-*.ckpt"):
                if old != path:
                    old.unlink()
        if self.shared_parts_stand_still:
            self.store({})

    @property
    def shared_parts_stand_still(self) -> bool:
        """Whether scenes of this step and of the last one look the same with the shared parts of either."""
        schedule = self.config.pipeline.schedule
        return isinstance(schedule, StageTwo) and schedule.shared == "frozen"

    def store(self, metrics: dict[str, Any]) -> None:
        """Put the scenes, as they are, into the run's store; where that fails, say why: the checkpoint is safe."""
        manager, config = self.pipeline.datamanager, self.config
        provenance = {"data": manager.get_datapath().name, "seed": config.machine.seed, "run": config.timestamp}
        provenance["step"] = self.last_step
        try:
            store_scenes(self.pipeline.model, manager, self.base_dir / STORE, metrics, provenance)
        except (TdaError, OSError) as error:
            CONSOLE.print(f"The scenes are not in the run's store: {error}", style="yellow", markup=False)

    def finish(self, step: int) -> None:
        """Score every scene and leave the manifest, unless the run was stopped before its last step."""
        if step + 1 < self.total_steps:
            return
        self.pipeline.eval()
        metrics = evaluate(self.pipeline.model, self.pipeline.datamanager)
        model, manager, config = self.pipeline.model, self.pipeline.datamanager, self.config
        visits = manager.images_per_step / len(manager.scene_names)
        write_manifest(
            self.base_dir,
            {
                "method": config.method_name,
                "data": str(manager.get_datapath()),
                "scene_names": manager.scene_names,
                "image_size": [manager.atlas.width, manager.atlas.height],
                "commands": self.history.commands,
                "machine": describe(model.device),
                "seed": config.machine.seed,
                "steps": self.total_steps,
                "phases": describe_phases(self.pipeline.spans, visits, self.history),
                "checkpoint": str(self.checkpoint_of(step).relative_to(self.base_dir)),
                "model": describe_model(
                    config.pipeline.model.triplane,
                    config.pipeline.model.autoencoder,
                    model.autoencoder.fingerprint(),
                    model.field.scenes.box,
                ),
                "metrics": metrics,
            },
        )
        if isinstance(config.pipeline.schedule, StageTwo):
            self.store(metrics)
        CONSOLE.print(f"Done: {quality(metrics)}.\nLook at it:")
        look = ["ns-viewer", "--load-config", str(self.base_dir / "config.yml")]
        CONSOLE.print(f"  {shlex.join(look)}", markup=False, soft_wrap=True)
