"""The pipeline: datamanager, model and learner of a run, and what stage 2 takes over from stage 1."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from nerfstudio.pipelines.base_pipeline import Pipeline, VanillaPipeline, VanillaPipelineConfig
from torch import Tensor
from tyro.conf import Fixed

from tda_nerfstudio.autoencoder.build import build
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.cameras import parts_shape
from tda_nerfstudio.learning.batches import Batches
from tda_nerfstudio.learning.beginning import Beginning
from tda_nerfstudio.learning.learner import Learner
from tda_nerfstudio.learning.live import Live
from tda_nerfstudio.learning.schedule import RgbBaseline, Schedule, StageOne
from tda_nerfstudio.learning.scoring import announced, evaluate, scalars
from tda_nerfstudio.learning.waves import Wave, plan, wave_at, wave_size
from tda_nerfstudio.plugin import stage_one
from tda_nerfstudio.plugin.checkpoint import check_state
from tda_nerfstudio.plugin.config_file import errors_shown
from tda_nerfstudio.plugin.multi_scene_datamanager import MultiSceneDataManager, MultiSceneDataManagerConfig
from tda_nerfstudio.plugin.tda_model import TdaModel, TdaModelConfig
from tda_nerfstudio.plugin.viewer.live_panel import LivePanel
from tda_nerfstudio.plugin.viewer.scene_control import SceneControl
from tda_nerfstudio.store.shared_parts import SharedParts


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
    """Hold the scenes of one wave at a time, with the learner that trains them, and score them."""

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
        self.grad_scaler = grad_scaler
        self.datamanager.use(range(wave_size(self.datamanager.total, config.scenes_per_wave)))
        self._model = config.model.setup(
            scene_box=self.datamanager.train_dataset.scene_box,
            num_train_data=len(self.datamanager.train_dataset),
            metadata=self.datamanager.train_dataset.metadata,
            device=device,
            grad_scaler=grad_scaler,
        )
        self.model.to(device)
        self.model.native_focal = float(self.datamanager.views.train.view.fx.median())
        self.scene_control = SceneControl(self)
        self.model.looked = self.scene_control.looked
        learns_space = isinstance(config.schedule, StageOne)
        start = partial(build, self.model.config.autoencoder, self.model.config.seed) if learns_space else None
        self.live = Live(lambda: self.learner, lambda: self.datamanager.active_scene, start)
        self.live_panel = LivePanel(self.live)
        self.latents_folder: Path | None = None
        self.own_store: Path | None = None
        """The run's own store, which may have the shared parts if stage 1 is gone."""
        self._stage_one: tuple[SharedParts, str] | None = None
        size, views, codec = self.datamanager.config.step_size, self.datamanager.views, self.model.autoencoder
        parts = math.prod(parts_shape(views.height, views.width, codec.f, codec.sub))
        self.waves = plan(config.schedule, size, parts, self.datamanager.total, config.scenes_per_wave, config.steps)
        self.learner = self._make_learner(self.waves[0])

    @property
    def model(self) -> TdaModel:
        """The model, unwrapped."""
        return self._model

    def select_scene(self, name: str | None) -> None:
        """Make a scene the active one, by default the configured or first one. Raises TdaError for an unknown name."""
        self.datamanager.select_scene(name)
        self.model.field.active = self.datamanager.scene_names.index(self.datamanager.active_scene)

    def start_from_stage_one(self) -> None:
        """Take over the shared parts. The first step puts scenes where new ones begin.

        Raises TdaError for parts of other shapes, or an autoencoder of another hash.
        """
        parts, where = self.stage_one()
        stage_one.take_over(parts, where, self.model.field.scenes, self.model.autoencoder)
        self.check_autoencoder(where)

    def stage_one(self) -> tuple[SharedParts, str]:
        """Return the shared parts that stage 2 starts from, and the words that name their origin.

        They are read when they are first needed. Raises TdaError when neither stage 1 nor a store has them any more.
        """
        if self._stage_one is None:
            self._stage_one = stage_one.read(self.config.autoencoder, self.config.store, self.own_store)
        return self._stage_one

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
        """Load a checkpoint. It must fit exactly: nerfstudio's own loader would silently keep random weights.

        Raises TdaError that names missing, unexpected and mis-shaped tensors, or for an autoencoder of another hash.
        """
        state = {key.removeprefix("module."): value for key, value in loaded_state.items()}
        where = f"The checkpoint of step {step}"
        check_state(state, self.state_dict(), where)
        self.load_state_dict(state, strict=True)
        if self.config.schedule.independent:
            self.check_autoencoder(where)
        self.live.step = step
        self.learner_at(step)

    def learner_at(self, step: int) -> Learner:
        """Return the learner of a step's wave. If that is another wave, its scenes replace the former ones.

        No tensor changes: the first step of a wave places its scenes.
        """
        wave = wave_at(self.waves, step)
        if wave is not self.learner.wave:
            self.learner = self._make_learner(wave)
        return self.learner

    def _make_learner(self, wave: Wave) -> Learner:
        manager, config, model = self.datamanager, self.config, self.model
        manager.use(wave.scenes)
        self.select_scene(manager.active_scene)
        self.scene_control.show()
        size, seed, codec = manager.config.step_size, manager.config.seed, model.autoencoder
        return Learner(
            model.field.scenes,
            codec,
            Batches(manager.views, codec, size, seed, wave.start, folder=self.latents_folder),
            wave,
            model.config.sampling,
            model.config.seed,
            None if getattr(config.schedule, "start", None) == "cold" else self.beginning,
            config.starts_from == "stage-one",
            self.grad_scaler,
        )

    def beginning(self) -> Beginning:
        """Return where new scenes begin. Raises TdaError as `stage_one` does."""
        parts, _ = self.stage_one()
        return Beginning(parts.weights, parts.occupied, getattr(self.config.schedule, "start", None) == "network")

    def keep_latents(self, folder: Path) -> None:
        """Keep latents of training images in a folder, if the encoder never moves."""
        if self.config.starts_from == "stage-one":
            self.latents_folder = self.learner.batches.latents.folder = folder

    @torch.no_grad()
    def get_eval_loss_dict(self, step: int) -> tuple[dict, dict[str, Tensor], dict[str, Any]]:
        """Score one held-out view of one scene: mean squared error as the loss, and PSNR [dB]."""
        cameras, batch = self.datamanager.next_eval(step)
        outputs = self.model.get_outputs_for_camera(cameras)
        loss = (outputs["rgb"] - batch["image"]).square().mean()
        return outputs, {"rgb": loss}, {"psnr": -10 * torch.log10(loss.clamp(min=1e-10))}

    @torch.no_grad()
    def get_average_eval_image_metrics(
        self, step: int | None = None, output_path: Path | None = None, get_std: bool = False
    ) -> dict[str, Any]:
        """Score all held-out views of the scenes in memory.

        With a step, in training, returns single numbers only. Without, as for ns-eval, returns all that `evaluate`
        does, and prints a summary.
        """
        model = self.model
        metrics = evaluate(
            model.field.scenes, model.autoencoder, self.datamanager.views, model.config.sampling, output_path
        )
        others = set(self.datamanager.dataparser.whole().names) - set(self.datamanager.scene_names)
        metrics["left_out"] |= dict.fromkeys(sorted(others), "It is of another wave: see finished.json and the store.")
        return scalars(metrics) if step is not None else announced(metrics)
