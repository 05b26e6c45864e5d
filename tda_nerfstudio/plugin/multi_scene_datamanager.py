"""The datamanager: the views of all scenes for training, and one active scene for viewer and renderers."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.data.datamanagers.base_datamanager import VanillaDataManager
from nerfstudio.data.utils.dataloaders import FixedIndicesEvalDataloader
from torch import Tensor
from tyro.conf import Fixed

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.randomness import seeded
from tda_nerfstudio.core.camera_ring import spiral_start
from tda_nerfstudio.learning.batches import StepSize
from tda_nerfstudio.learning.views import SceneViews
from tda_nerfstudio.plugin.atlas_dataset import AtlasDataset
from tda_nerfstudio.plugin.cameras import as_cameras, as_view
from tda_nerfstudio.plugin.exports import advise, refuse_exports
from tda_nerfstudio.plugin.options import DataManagerOptions
from tda_nerfstudio.plugin.quiet import silence
from tda_nerfstudio.plugin.tda_dataparser import TdaAtlas, TdaAtlasConfig
from tda_nerfstudio.plugin.which_scenes import OPTION

SCENE_VARIABLE = "TDA_SCENE"
"""Environment variable that names the active scene. It takes precedence over the configuration."""


@dataclass
class MultiSceneDataManagerConfig(DataManagerOptions):
    """Many scenes, a few views of a few of them at every step."""

    _target: type = field(default_factory=lambda: MultiSceneDataManager)
    """target class to instantiate"""
    dataparser: TdaAtlasConfig = field(default_factory=TdaAtlasConfig)
    """The atlas."""
    scenes_per_step: int = 4
    """K: scenes visited in a step; each one's planes are fused once."""
    views_per_scene: int = 1
    """V: whole views of each visited scene in phases that decode; with one, scenes get the most updates."""
    rays_per_view: int | None = 32
    """Random rays of each view in the other phases, most of them at the object; None takes whole views there too."""
    ray_views: int = 8
    """Views of each visited scene that random rays are taken from."""
    seed: Fixed[int] = 0
    """Draws scenes and views; set from machine.seed."""

    @property
    def step_size(self) -> StepSize:
        """How many scenes, views and rays a step sees."""
        return StepSize(self.scenes_per_step, self.views_per_scene, self.rays_per_view, self.ray_views)


class AtlasViews(SceneViews):
    """The views of a run's scenes. Errors of unreadable images say which option leaves their scene out."""

    chosen: tuple[str, ...] | None = None
    """The option that chose the run's scenes. None if there is only one, which cannot be left out."""

    def refusal(self, scene: str, error: TdaError) -> TdaError:
        """Add the option that leaves the scene out."""
        if self.chosen is None:
            return error
        return TdaError(f"{error} Or leave its scene out: {OPTION} {shlex.join([*self.chosen, f'!{scene}'])}")


class MultiSceneDataManager(VanillaDataManager):
    """Hold the views of all scenes of a wave for training, and show one active scene to the rest of nerfstudio.

    Training and average scores do not depend on the active scene. `train_dataset`, `eval_dataset` and
    `train_dataparser_outputs` are its views, so that nerfstudio's renderers and viewer work unchanged.
    """

    config: MultiSceneDataManagerConfig

    def __init__(
        self,
        config: MultiSceneDataManagerConfig,
        device: torch.device | str = "cpu",
        test_mode: Literal["test", "val", "inference"] = "val",
        world_size: int = 1,
        local_rank: int = 0,
        **kwargs: Any,
    ) -> None:
        # VanillaDataManager's constructor builds single-scene datasets; everything it promises is set here instead.
        torch.nn.Module.__init__(self)
        silence()
        refuse_exports()
        self.config = config
        self.device = device
        self.world_size, self.local_rank = world_size, local_rank
        self.sampler = None
        self.test_mode = test_mode
        self.test_split = "test"
        self.includes_time = False
        self.train_count = self.eval_count = 0
        self.train_pixel_sampler = config.pixel_sampler.setup()
        if config.data is not None:
            config.dataparser.data = Path(config.data)
        self.dataparser_config = config.dataparser
        self.dataparser = TdaAtlas(config.dataparser)
        self.total = len(self.dataparser.whole().scenes)
        self.tolerant = False
        """As for `SceneViews`; it takes effect with the next `use`."""
        self.use(range(self.total))
        advise(self.dataparser.box())

    def use(self, scenes: Sequence[int]) -> None:
        """Hold the views of some of the chosen scenes, given by their positions, and of no others."""
        self.dataparser.part = tuple(scenes)
        self.atlas = self.dataparser.atlas()
        self.scene_names = list(self.atlas.names)
        self.views = AtlasViews(self.atlas, self.device, self.tolerant)
        if self.total > 1:
            self.views.chosen = tuple(self.config.dataparser.scenes or "*")
        wanted = os.environ.get(SCENE_VARIABLE) or self.config.dataparser.scene
        elsewhere = wanted in self.dataparser.whole().names and wanted not in self.scene_names
        self.select_scene(self.scene_names[0] if elsewhere else wanted)

    def select_scene(self, name: str | None) -> None:
        """Make a scene the active one, by default the configured or first one. Raises TdaError for an unknown name."""
        outputs = {split: self.dataparser.outputs(name, split) for split in ("train", "test")}
        self.active_scene = self.dataparser.find(name).name
        self.train_dataparser_outputs = outputs["train"]
        self.train_dataset = AtlasDataset(outputs["train"], self.dataparser.views(name, "train"))
        self.eval_dataset = AtlasDataset(outputs["test"], self.dataparser.views(name, "test"))
        self.exclude_batch_keys_from_device = self.train_dataset.exclude_batch_keys_from_device

    @property
    def fixed_indices_eval_dataloader(self) -> FixedIndicesEvalDataloader:
        """Held-out views of the active scene."""
        return FixedIndicesEvalDataloader(self.eval_dataset, device=self.device)

    @property
    def eval_dataloader(self) -> SpiralStart:
        """The camera that `ns-render spiral` begins with; it asks for nothing else."""
        cameras, centre = self.eval_dataset.cameras, self.dataparser.box().mean(0)
        start = cameras[:1]
        start.camera_to_worlds = spiral_start(cameras.camera_to_worlds, centre)[None]
        return SpiralStart(start)

    def next_train(self, step: int) -> tuple[RayBundle, dict[str, Any]]:
        """Give all rays of a camera of the active scene, for nerfstudio's exporters; images are not needed.

        Its size is such that there are about as many as the exporter asks for, and its pixels are shifted a little,
        else the cameras of a scene would see no more points than they have pixels.
        """
        cameras = self.train_dataset.cameras
        row = self.train_count % len(cameras)
        generator = seeded(self.config.seed, self.train_count, "exported rays")
        self.train_count += 1
        view = as_view(cameras[row : row + 1], self.device)
        height, width = self.views.height, self.views.width
        wanted = self.train_pixel_sampler.num_rays_per_batch if self.train_pixel_sampler else height * width
        scale = max((wanted / (height * width)) ** 0.5, 0.25)
        rows, columns = max(round(height * scale), 2), max(round(width * scale), 2)
        shift = (torch.rand(2, generator=generator) - 0.5).to(view.c2w)
        sized = view.scaled(columns / width, rows / height)
        moved = replace(sized, cx=sized.cx + shift[0], cy=sized.cy + shift[1], width=columns, height=rows)
        return as_cameras(moved).to(self.device).generate_rays(camera_indices=0), {}

    def next_eval(self, step: int) -> tuple[Cameras, dict[str, Tensor]]:
        """Draw a held-out view, as `next_eval_image` does."""
        return self.next_eval_image(step)

    def next_eval_image(self, step: int) -> tuple[Cameras, dict[str, Tensor]]:
        """Draw a held-out view by seed and step. Its image is [height, width, 3], in [0, 1]."""
        table = self.views.held_out
        index = torch.randint(len(table), (1,), generator=seeded(self.config.seed, step, "eval"))
        cameras = as_cameras(table.view[index], torch.tensor([table.scene_of(int(index))])).to(self.device)
        image = self.views.images(table, index)[0].permute(1, 2, 0)
        return cameras, {"image": image, "image_idx": index}

    def get_train_rays_per_batch(self) -> int:
        """Count the image pixels that a step sees (nerfstudio's unit of training speed)."""
        size = self.config.step_size
        each = size.views * self.views.pixels if size.rays is None else size.ray_views * size.rays
        return size.at_once(len(self.scene_names)) * each

    def get_eval_rays_per_batch(self) -> int:
        """Count the pixels of a held-out view."""
        return self.views.pixels

    def get_datapath(self) -> Path:
        """Return the folder of the atlas, in which the viewer keeps camera paths."""
        return Path(self.config.dataparser.data)

    def get_param_groups(self) -> dict:
        """Return nothing: no parameters are here."""
        return {}

    def setup_train(self) -> None:
        """Do nothing: batches are drawn by step."""

    def setup_eval(self) -> None:
        """Do nothing: held-out views are read when they are needed."""


class SpiralStart:
    """A single camera in the place of a dataloader."""

    def __init__(self, camera: Cameras) -> None:
        self.camera = camera

    def get_camera(self, image_idx: int = 0) -> tuple[Cameras, dict[str, Any]]:
        """Return the camera for any index."""
        return self.camera, {}
