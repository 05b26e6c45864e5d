"""The trainer: what nerfstudio's own lacks for long jobs.

That is a resolved configuration, atomic checkpoints, a save on Ctrl-C and SIGTERM, resuming to the same total of steps,
a forecast, and a finished.json.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackLocation
from nerfstudio.engine.optimizers import Optimizers
from nerfstudio.engine.trainer import Trainer
from nerfstudio.utils import profiler, writer
from nerfstudio.utils.misc import step_check

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.interrupts import signals_deferred
from tda_nerfstudio.base.terminal import CONSOLE, clear_errors, hushed
from tda_nerfstudio.learning.curves import Curves
from tda_nerfstudio.learning.forecast import forecast
from tda_nerfstudio.learning.scoring import quality
from tda_nerfstudio.learning.waves import locate
from tda_nerfstudio.plugin import checkpoint, config_file, resolve, run_folder, stage_one
from tda_nerfstudio.plugin.bank import Bank, check_learnt
from tda_nerfstudio.plugin.claim import release
from tda_nerfstudio.plugin.describe_run import describe_run
from tda_nerfstudio.plugin.finished import write_finished
from tda_nerfstudio.plugin.history import History
from tda_nerfstudio.plugin.learner_optimizers import LearnerOptimizers, gradient_norms
from tda_nerfstudio.plugin.live_events import LiveEvents
from tda_nerfstudio.plugin.next_steps import show_next_steps
from tda_nerfstudio.plugin.quiet import silence
from tda_nerfstudio.plugin.run_config import RunConfig
from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline
from tda_nerfstudio.plugin.training_line import TrainingLine
from tda_nerfstudio.plugin.unlike_stage_one import warn_if_unlike
from tda_nerfstudio.plugin.viewer.address import where_to_look
from tda_nerfstudio.plugin.viewer.closing import stop_rendering
from tda_nerfstudio.store.shared_parts import is_store


@dataclass
class TdaTrainerConfig(RunConfig):
    """A run's configuration. It is resolved before it is saved, and finds its folder when it is read."""

    _target: type = field(default_factory=lambda: TdaTrainer)
    """target class to instantiate"""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        file = config_file.being_read()
        if file is not None and self.timestamp != "{timestamp}":  # it is no copy of a method's defaults
            with config_file.errors_shown():
                run_folder.settle(self, file)

    def set_timestamp(self) -> None:
        """Name the run after the time, unless it has a name; then its folder must be a new one."""
        if self.timestamp == "{timestamp}":
            self.by_time = True
        super().set_timestamp()

    def print_to_terminal(self) -> None:
        """Print nothing here. `save_config` prints where config.yml is, once it is resolved."""

    def save_config(self) -> None:
        """Resolve data, stage 1, sizes and steps, then save config.yml. A TdaError ends the process."""
        with clear_errors():
            try:
                resolve.resolve(self)
            except TdaError:
                release(self.get_base_dir())
                raise
            with hushed():
                super().save_config()
            CONSOLE.print(f"All settings: {self.get_base_dir() / 'config.yml'}", markup=False, soft_wrap=True)


class TdaTrainer(Trainer):
    """Train to a fixed total of steps, and save what was learnt when that is interrupted."""

    config: TdaTrainerConfig
    pipeline: TdaPipeline

    def __init__(self, config: TdaTrainerConfig, local_rank: int = 0, world_size: int = 1) -> None:
        silence()
        config.logging.local_writer.enable = False  # the training line takes its place
        if config.mixed_precision and config.machine.device_type == "cpu":
            CONSOLE.print("--mixed-precision does nothing on a CPU: this run goes on without.", style="yellow")
            config.mixed_precision = False  # else the gradients would be scaled on machines with a GPU
        with hushed():
            super().__init__(config, local_rank, world_size)

    def setup(self, test_mode: Literal["test", "val", "inference"] = "val") -> None:
        """Build everything, start from stage 1 or from a checkpoint, and print the forecast."""
        with clear_errors():
            if self.config.load_dir is not None:
                checkpoint.check_load_dir(self.config.load_dir)
            with hushed():
                super().setup(test_mode)
            self._init_viewer_state()  # a browser may come at once, and its buttons need the scene's cameras
            where_to_look(self.viewer_state, self.config.vis)
            if self.config.pipeline.starts_from == "stage-one" and self.config.goes_on_from() is None:
                self.pipeline.start_from_stage_one()
            self.pipeline.keep_latents(self.config.output_dir / "latents")
            waves = self.pipeline.waves
            self.total_steps = waves[-1].end
            self.bank = Bank(self.pipeline, self.base_dir)
            self.stop_signal: int | None = None
            self.only_viewing = False
            self.last_step: int | None = None
            self.history = self.past()
            self.pipeline.live.curves = Curves(self.history.curves)
            self.live_events = LiveEvents(self.pipeline.live)
            self.history.note_command()
            begin = TrainingCallback([TrainingCallbackLocation.BEFORE_TRAIN_ITERATION], self.begin_step)
            self.callbacks = [begin, *self.callbacks]
            self.callbacks += [
                TrainingCallback([TrainingCallbackLocation.AFTER_TRAIN_ITERATION], self.end_step),
                TrainingCallback([TrainingCallbackLocation.AFTER_TRAIN], self.finish),
            ]
            learner = self.pipeline.learner_at(self._start_step)
            expected = forecast(learner, waves, self._start_step, self.pipeline.datamanager.total)
            CONSOLE.print(expected.table, expected.summary)
            self.line = TrainingLine(waves, expected.seconds, self._start_step)
            if self.config.goes_on_from() is None:
                pipeline = self.pipeline.config
                warn_if_unlike(learner, stage_one.known(pipeline.autoencoder, pipeline.store))

    def setup_optimizers(self) -> Optimizers:
        """Return the learner's optimizers, into which nerfstudio loads their states."""
        return LearnerOptimizers(self.pipeline)

    def past(self) -> History:
        """Read the history of earlier sessions from the checkpoint that was loaded. It is empty for a new run."""
        if not self._start_step:
            return History()
        folder, file = self.config.load_dir, self.config.load_checkpoint
        path = folder / self.checkpoint_of(self._start_step - 1).name if folder is not None else file
        assert path is not None
        return History(**torch.load(path, map_location="cpu", weights_only=True, mmap=True)["history"])

    def train(self) -> None:
        """Train from the first step, or from the one after that of the loaded checkpoint, up to the total."""
        remaining = self.total_steps - self._start_step
        self.config.max_num_iterations = remaining  # nerfstudio counts from the step it starts at
        try:
            with clear_errors(), self.errors_saved(), signals_deferred(self.ask_to_stop):
                if remaining <= 0:
                    CONSOLE.print(f"Nothing to train: step {self._start_step} of {self.total_steps} is already done.")
                    self.step = self._start_step - 1
                    self.save_checkpoint(self.step)
                    return self.finish(self.step)
                if self._start_step and not self.bank.closed(self._start_step):
                    self.close_wave(self._start_step - 1)
                super().train()
        finally:
            self.line.stop()
            self.config.max_num_iterations = self.total_steps
            stop_rendering()
            release(self.base_dir)

    @contextmanager
    def errors_saved(self) -> Iterator[None]:
        """Save what was learnt when an error ends the run, such as a damaged image."""
        try:
            yield
        except TdaError as error:
            if self.last_step is None:
                raise
            if not self.checkpoint_of(self.last_step).exists():
                self.save_checkpoint(self.last_step)
            saved = TdaError(f"{error} Step {self.last_step} is saved; go on from it with:")
            saved.add_note(self.config.resume_command())
            raise saved from error

    def ask_to_stop(self, number: int) -> None:
        """Let a signal end the run after the current step. Leave at once if only the viewer is still open."""
        if self.only_viewing:
            raise SystemExit(0)
        self.stop_signal = number
        CONSOLE.print("\nStopping after this step: saving a checkpoint. Press Ctrl-C again to leave without.")

    def begin_step(self, step: int) -> None:
        """Start the step's clock. A phase's first step may show its own progress, so stop the training line."""
        if step == locate(self.pipeline.waves, step)[1].start:
            self.line.stop()
        self.history.begin_step()

    @profiler.time_function
    def train_iteration(self, step: int) -> Any:
        """Take a step of the learner. Returns loss, losses by name and metrics, as nerfstudio's writers expect them."""
        losses = {name: value.detach() for name, value in self.pipeline.learner_at(step).step(step).items()}
        self.pipeline.live.note(step, losses)
        self.line.loss = torch.stack([*losses.values()]).sum()
        wave, span = locate(self.pipeline.waves, step)
        metrics: dict[str, Any] = {"phase": float(wave.spans.index(span))}
        if self.config.log_gradients:
            metrics |= gradient_norms(self.pipeline.model)
        return self.line.loss, losses, metrics

    def eval_iteration(self, step: int) -> None:
        """Score a held-out view if one is due and there are any, and keep its PSNR for the training line."""
        if not len(self.pipeline.datamanager.views.held_out):
            return
        super().eval_iteration(step)
        for event in writer.EVENT_STORAGE:
            if event["name"] == "Eval Images Metrics":
                self.line.psnr = event["event"]["psnr"]
        if step_check(step, self.config.steps_per_eval_image):
            self.live_events.write()

    def end_step(self, step: int) -> None:
        """Note that a step is complete. Close its wave if it was the last one; save and leave if a signal came."""
        self.last_step = step
        wave, span = locate(self.pipeline.waves, step)
        self.history.end_step(span.phase.name)
        if step + 1 == wave.end < self.total_steps:
            self.save_checkpoint(step)
            self.close_wave(step)
        if self.stop_signal is not None:
            self.save_checkpoint(step)
            line = self.config.resume_command()
            CONSOLE.print(f"Saved step {step}. Go on with:\n  {line}", markup=False, soft_wrap=True)
            sys.stdout.flush()
            raise SystemExit(128 + self.stop_signal)
        self.line.show(step)

    def close_wave(self, step: int) -> None:
        """Score and store the wave of a step, its last one, which is saved. Leave if a signal comes during a retry."""
        self.line.stop()
        self.pipeline.eval()
        changed = self.bank.close(self.pipeline.learner_at(step), lambda: self.stop_signal is not None)
        if changed is None:
            CONSOLE.print(f"Left. Go on with:\n  {self.config.resume_command()}", markup=False, soft_wrap=True)
            raise SystemExit(128 + (self.stop_signal or 0))
        if changed:
            self.save_checkpoint(step)

    def checkpoint_of(self, step: int) -> Path:
        """Return the path of the checkpoint of a step."""
        return self.checkpoint_dir / f"step-{step:09d}.ckpt"

    def save_checkpoint(self, step: int) -> None:
        """Save model, optimizers and history in one atomic file. Older ones are deleted only when it is written.

        Scenes that do not depend on each other are put into the store too, as not finished.
        """
        self.history.curves = self.pipeline.live.curves.state()
        optimizers = {name: optimizer.state_dict() for name, optimizer in self.optimizers.optimizers.items()}
        state = {"step": step, "pipeline": self.pipeline.state_dict(), "optimizers": optimizers, "schedulers": {}}
        state |= {"scalers": self.grad_scaler.state_dict(), "history": self.history.state()}
        checkpoint.save(self.checkpoint_of(step), state, alone=self.config.save_only_latest_checkpoint)
        if self.pipeline.config.schedule.independent and step + 1 < locate(self.pipeline.waves, step)[0].end:
            self.line.stop()  # writing scenes shows its own progress
            self.bank.put(None, {})

    def _after_train(self) -> None:
        """Save, score and store, then keep the viewer open if that was asked for."""
        self.training_state = "completed"
        self.save_checkpoint(self.step)
        writer.write_out_storage()
        for callback in self.callbacks:
            callback.run_callback_at_location(self.step, TrainingCallbackLocation.AFTER_TRAIN)
        if not self.config.viewer.quit_on_train_completion:
            self.only_viewing = True
            self._train_complete_viewer()

    def finish(self, step: int) -> None:
        """Score every scene and write finished.json, unless the run was stopped before its last step."""
        if step + 1 < self.total_steps:
            return
        self.close_wave(step)
        metrics = self.bank.results()
        with clear_errors():
            check_learnt(metrics, self.pipeline.datamanager.dataparser.whole().names)
        path = self.checkpoint_of(step).relative_to(self.base_dir)
        own = {"commands": self.history.commands, "checkpoint": str(path), "store": self.bank.store_name()}
        facts = describe_run(self.config, self.pipeline, self.history) | own | {"metrics": metrics}
        write_finished(self.base_dir, facts)
        CONSOLE.print(f"Done: {quality(metrics)}.", soft_wrap=True)
        store = self.bank.folder if self.bank.folder is not None and is_store(self.bank.folder) else None
        data, waves = self.pipeline.datamanager.get_datapath(), len(self.pipeline.waves)
        show_next_steps(self.config.method_name, self.base_dir, data, store, waves)
