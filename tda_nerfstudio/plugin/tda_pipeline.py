"""The pipeline: the 3Da-AE wrap around datamanager and model, driven by a schedule of phases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackAttributes, TrainingCallbackLocation
from nerfstudio.engine.optimizers import Optimizers
from nerfstudio.pipelines.base_pipeline import Pipeline, VanillaPipeline, VanillaPipelineConfig
from torch import Tensor
from tyro.conf import Fixed

from tda_nerfstudio.atlas.latent_cache import ENCODE_BATCH
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.randomness import seeded
from tda_nerfstudio.core.occupancy import due_scenes
from tda_nerfstudio.learning.schedule import RgbBaseline, Schedule, Span
from tda_nerfstudio.plugin.evaluation import announced, evaluate, scalars
from tda_nerfstudio.plugin.manifest import check_state
from tda_nerfstudio.plugin.multi_scene_datamanager import MultiSceneDataManager, MultiSceneDataManagerConfig
from tda_nerfstudio.plugin.run_folder import errors_shown
from tda_nerfstudio.plugin.start import SHARED, Start, read_start
from tda_nerfstudio.plugin.tda_model import TdaModel, TdaModelConfig
from tda_nerfstudio.plugin.training_latents import TrainingLatents
from tda_nerfstudio.plugin.viewer.scene_control import SceneControl
from tda_nerfstudio.plugin.waves import Wave, place, plan, wave_at, wave_size

BACKGROUND_EVERY = 50
"""Steps between measurements of the latent background while the encoder trains."""


@dataclass
class TdaPipelineConfig(VanillaPipelineConfig):
    """Datamanager, model, and the schedule that trains them."""

    _target: type = field(default_factory=lambda: TdaPipeline)
    """target class to instantiate"""
    datamanager: MultiSceneDataManagerConfig = field(default_factory=MultiSceneDataManagerConfig)
    """Serves scenes and views."""
    model: TdaModelConfig = field(default_factory=TdaModelConfig)
    """Latent scenes and autoencoder."""
    schedule: Schedule = field(default_factory=RgbBaseline)
    """Phases and their lengths, in visits per scene."""
    steps: Fixed[int | None] = None
    """Steps in all; set from max-num-iterations."""
    starts_from: Literal["scratch", "stage-one"] = "scratch"
    """Whether autoencoder, base planes and MLP come from a finished tda-ae run."""
    autoencoder: Path | None = None
    """The tda-ae run to start from (its folder or config.yml); the newest finished one below output-dir by default."""
    autoencoder_hash: str | None = None
    """Fingerprint of that run's autoencoder; filled in and checked ever after."""
    store: Path | None = None
    """The store that finished scenes go into: by default the run's own. Where it is there already, its shared parts
    take the place of a tda-ae run's, and scenes that it holds are not learnt again."""
    scenes_per_wave: int | None = None
    """Learn this many scenes at a time, from first phase to last: memory depends on them alone. By default all."""

    def setup(self, **kwargs: Any) -> Any:
        """Build the pipeline; commands of nerfstudio's show what is wrong as a message."""
        with errors_shown():
            return super().setup(**kwargs)


class TdaPipeline(VanillaPipeline):
    """Enter phases by the absolute step, cache latents where the encoder stands still, score every scene."""

    config: TdaPipelineConfig
    datamanager: MultiSceneDataManager
    _model: TdaModel

    def __init__(
        self,
        config: TdaPipelineConfig,
        device: str,
        test_mode: Literal["test", "val", "inference"] = "val",
        world_size: int = 1,
        local_rank: int = 0,
        grad_scaler: Any = None,
    ) -> None:
        Pipeline.__init__(self)
        if world_size > 1:
            raise TdaError(
                "One run uses one device: row tables cannot be averaged between processes. Start a process per GPU,"
                " each with its own --pipeline.datamanager.dataparser.scenes (for example 0:500 and 500:1000)."
            )
        self.config = config
        self.test_mode = test_mode
        self.world_size = world_size
        self.datamanager = config.datamanager.setup(
            device=device, test_mode=test_mode, world_size=world_size, local_rank=local_rank
        )
        self.datamanager.tolerant = config.schedule.independent
        self.datamanager.use(range(wave_size(self.datamanager.total, config.scenes_per_wave)))
        self._model = config.model.setup(
            scene_box=self.datamanager.train_dataset.scene_box,
            num_train_data=len(self.datamanager.train_dataset),
            metadata=self.datamanager.train_dataset.metadata,
            device=device,
            grad_scaler=grad_scaler,
        )
        self.model.to(device)
        self.model.native_focal = float(self.datamanager.train_store.fx.median())
        self.scene_control = SceneControl(self)
        self.scene = self.scene_control.dropdown
        self.select_scene(self.datamanager.active_scene)
        self.waves: list[Wave] = []
        self._wave: Wave | None = None
        self._span: Span | None = None
        self._start: Start | None = None
        self.own_store: Path | None = None
        self.latents = TrainingLatents(self.model.autoencoder, self.datamanager, config.starts_from == "stage-one")

    @property
    def model(self) -> TdaModel:
        """The model, unwrapped."""
        return self._model

    def select_scene(self, name: str | None) -> None:
        """Make a scene the one that viewer and renderer see. Raises TdaError for an unknown name."""
        self.datamanager.select_scene(name)
        self.model.field.active = self.datamanager.scene_names.index(self.datamanager.active_scene)

    def start_from_stage_one(self) -> None:
        """Take over shared parts and put the scenes at their start. Raises TdaError for another f, C or hash."""
        start = self.stage_start()
        check_state(start.shared, self.model.state_dict(), start.where, SHARED)
        self.model.load_state_dict(start.shared, strict=False)
        self.check_autoencoder(start.where)
        self.start_scenes()

    def stage_start(self) -> Start:
        """Give where stage 2 starts, read when first needed."""
        if self._start is None:
            self._start = read_start(self.config.autoencoder, self.config.store, self.own_store)
        return self._start

    def start_scenes(self) -> None:
        """Put the scenes at the mean of stage 1's, in all the space that those filled; at random if cold."""
        table, manager = self.model.field.scenes, self.datamanager
        if getattr(self.config.schedule, "start", "mean") == "cold":
            table.cold_start([seeded(manager.scene_seed(s), 0, "start") for s in range(len(manager.scene_names))])
        else:
            start = self.stage_start()
            table.warm_start(start.weights.to(table.box.device), start.occupied.to(table.box.device))

    def check_autoencoder(self, where: str) -> None:
        """Raise TdaError unless the autoencoder in use is the one that this run was configured with."""
        found, wanted = self.model.autoencoder.fingerprint(), self.config.autoencoder_hash
        if wanted is not None and found != wanted:
            raise TdaError(
                f"{where} holds an autoencoder with hash {found}, but this run was configured with {wanted}"
                f" (f = {self.model.autoencoder.f}, C = {self.model.autoencoder.channels}). Latents of different"
                " autoencoders do not mix: name the right run with --pipeline.autoencoder PATH."
            )

    def load_pipeline(self, loaded_state: dict[str, Any], step: int) -> None:
        """Load a checkpoint that fits exactly; nerfstudio's own loader would silently keep random weights instead.

        Raises TdaError naming missing, unexpected and mis-shaped tensors, or an autoencoder of another hash.
        """
        state = {key.removeprefix("module."): value for key, value in loaded_state.items()}
        where = f"The checkpoint of step {step}"
        check_state(state, self.state_dict(), where)
        self.load_state_dict(state, strict=True)
        if self.config.schedule.independent:
            self.check_autoencoder(where)
        self.plan(self.config.steps)
        self.serve(wave_at(self.waves, step))

    def plan(self, total: int | None) -> list[Wave]:
        """Place waves and their phases on absolute steps, rescaled to a total when that is given."""
        manager, config = self.datamanager, self.config
        counts = (manager.total, config.scenes_per_wave, manager.rays_share)
        self.waves = plan(config.schedule, manager.config, *counts, total)
        return self.waves

    def serve(self, wave: Wave) -> None:
        """Turn to a wave's scenes; nothing that was learnt changes."""
        if wave is not self._wave:
            self._wave, self._span = wave, None
            self.latents.drop()
            self.datamanager.use(wave.scenes, wave.start, wave.attempt)
            self.select_scene(self.datamanager.active_scene)
            self.scene_control.show(self.datamanager.scene_names)

    def wave_at_work(self) -> Wave:
        """Give the wave at work. A method, like all that may raise: viewers look at every attribute of a pipeline."""
        assert self._wave is not None, "prepare() runs before every step"
        return self._wave

    def get_training_callbacks(
        self, training_callback_attributes: TrainingCallbackAttributes
    ) -> list[TrainingCallback]:
        """Prepare every step: its phase, what moves and how fast."""
        optimizers = training_callback_attributes.optimizers
        assert optimizers is not None
        before = [TrainingCallbackLocation.BEFORE_TRAIN_ITERATION]
        return [TrainingCallback(before, self.prepare, kwargs={"optimizers": optimizers})]

    def prepare(self, step: int, optimizers: Optimizers) -> None:
        """Make the step's phase act: trainable groups, learning rates, background, cached latents.

        Everything depends on the absolute step alone; optimizer states are dropped when their phase begins.
        """
        wave, span = place(self.waves, step)
        self.serve(wave)
        if step == wave.start and self.config.starts_from == "stage-one":
            self.start_scenes()
        if span is not self._span:
            self.enter(span)
        if step == span.start:
            self.begin(span, optimizers)
        elif span.phase.encodes and (step - span.start) % BACKGROUND_EVERY == 0:
            self.measure_background()
        due, grow = due_scenes(*self.datamanager.draw(step), span.share(step))
        if span.phase.renders and len(due):
            self.model.field.scenes.refresh(due.to(self.model.device), self.model.autoencoder.background, grow)
        share = span.rate_share(step)
        for name, rate in span.phase.rates.items():
            if name in optimizers.optimizers:
                for group in optimizers.optimizers[name].param_groups:
                    group["lr"] = rate * share

    def enter(self, span: Span) -> None:
        """Switch to a phase without touching what was learnt: which groups move, and no stale latents."""
        self._span = span
        if span.phase.encodes:
            self.latents.drop()
        for name, params in self.model.get_param_groups().items():
            for param in params:
                param.requires_grad_(name in span.phase.rates)

    def begin(self, span: Span, optimizers: Optimizers) -> None:
        """Do what happens once, at a phase's first step: fresh optimizer states, latent scale, background."""
        for name in span.phase.rates:
            if name in optimizers.optimizers:
                optimizers.optimizers[name].state.clear()
        first = next((s for s in self.wave_at_work().spans if s.phase.renders), None)
        if self.config.starts_from == "scratch":
            if span is first:
                self.calibrate()
            self.measure_background()

    @torch.no_grad()
    def calibrate(self) -> None:
        """Measure the latent scale a on up to 512 training images, evenly spread."""
        count = len(self.datamanager.train_store.store)
        index = torch.linspace(0, count - 1, min(count, 512)).long().unique()
        latents = [
            self.model.autoencoder.encode(self.datamanager.train_images(part)) for part in index.split(ENCODE_BATCH)
        ]
        self.model.autoencoder.calibrate(torch.cat(latents))

    def measure_background(self) -> None:
        """Measure the normalised latent of an empty image with the encoder as it is now."""
        self.model.autoencoder.measure_background(self.datamanager.atlas.height, self.datamanager.atlas.width)

    def batch_of(
        self, step: int, span: Span, latents: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Any, dict[str, Tensor]]:
        """Draw a step's cameras and whatever its phase compares their renderings with; latents from the cache."""
        cameras, batch = self.datamanager.next_train(step)
        if span.phase.needs_images:
            batch["image"] = self.datamanager.train_images(batch["image_idx"])
        if "latent" in span.phase.losses and not span.phase.encodes:
            batch["latent"] = (latents or self.latents)(batch["image_idx"])
        return cameras, batch

    def get_train_loss_dict(self, step: int) -> tuple[dict, dict[str, Tensor], dict[str, Any]]:
        """Compute the weighted losses of a step."""
        assert self._span is not None, "prepare() runs before every step"
        cameras, batch = self.batch_of(step, self._span)
        losses = self._model(cameras, batch, self._span.phase, step)
        return losses, losses, {"phase": float(self.wave_at_work().spans.index(self._span))}

    @torch.no_grad()
    def get_eval_loss_dict(self, step: int) -> tuple[dict, dict[str, Tensor], dict[str, Any]]:
        """Score one held-out view of one scene as losses, for nerfstudio's curves."""
        cameras, batch = self.datamanager.next_eval(step)
        outputs = self.model.get_outputs_for_camera(cameras)
        loss = (outputs["rgb"] - batch["image"]).square().mean()
        return outputs, {"rgb": loss}, {"psnr": -10 * torch.log10(loss.clamp(min=1e-10))}

    @torch.no_grad()
    def get_average_eval_image_metrics(
        self, step: int | None = None, output_path: Path | None = None, get_std: bool = False
    ) -> dict[str, Any]:
        """Score all held-out views of all scenes in memory; plain means while training, everything for ns-eval."""
        metrics = evaluate(self.model, self.datamanager, output_path)
        others = set(self.datamanager.dataparser.whole().names) - set(self.datamanager.scene_names)
        metrics["left_out"] |= dict.fromkeys(sorted(others), "It is of another wave: see finished.json and the store.")
        return scalars(metrics) if step is not None else announced(metrics)
