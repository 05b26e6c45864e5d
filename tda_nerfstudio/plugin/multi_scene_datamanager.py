"""Serves K scenes x V views a step to training, and one scene's view of itself to viewer and renderer."""

from __future__ import annotations

import math
import os
import shlex
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.datamanagers.base_datamanager import VanillaDataManager
from nerfstudio.data.utils.dataloaders import FixedIndicesEvalDataloader
from torch import Tensor
from tyro.conf import Fixed

from tda_nerfstudio.atlas.images import ImageStore
from tda_nerfstudio.atlas.layouts.views import Views
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.randomness import scene_seed, seeded
from tda_nerfstudio.core.camera_ring import spiral_start
from tda_nerfstudio.plugin.atlas_dataset import AtlasDataset
from tda_nerfstudio.plugin.exports import refuse_exports
from tda_nerfstudio.plugin.options import DataManagerOptions
from tda_nerfstudio.plugin.quiet import silence
from tda_nerfstudio.plugin.tda_dataparser import TdaAtlas, TdaAtlasConfig
from tda_nerfstudio.plugin.terminal import CONSOLE
from tda_nerfstudio.plugin.which_scenes import OPTION

SCENE_VARIABLE = "TDA_SCENE"
"""Environment variable that names the scene which viewer and renderer see; it wins over the config's."""


@dataclass
class MultiSceneDataManagerConfig(DataManagerOptions):
    """Many scenes, a few views of a few of them at every step."""

    _target: type = field(default_factory=lambda: MultiSceneDataManager)
    """target class to instantiate"""
    dataparser: TdaAtlasConfig = field(default_factory=TdaAtlasConfig)
    """The atlas."""
    scenes_per_step: int = 8
    """K: scenes visited in a step; each one's planes are fused once."""
    views_per_scene: int = 1
    """V: views of each visited scene; with one, scenes get the most updates for their visits."""
    rays_per_view: int | None = None
    """Random latent pixels of each view to train on; all of them by default."""
    seed: Fixed[int] = 0
    """Draws scenes and views; set from machine.seed."""


class MultiSceneDataManager(VanillaDataManager):
    """Sample training batches of all scenes from (seed, step); show one active scene to the rest of nerfstudio.

    Training and averages never read the active scene. `train_dataset`, `eval_dataset` and `train_dataparser_outputs`
    are views of it, so that stock renderers and the viewer need no special case.
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
        if config.data is not None:
            config.dataparser.data = Path(config.data)
        self.dataparser_config = config.dataparser
        self.dataparser = TdaAtlas(config.dataparser)
        self.total = len(self.dataparser.whole().scenes)
        self.tolerant = False
        """Whether an image that cannot be read becomes NaN and its scene is noted in `unreadable`; else it raises."""
        self.use(range(self.total))

    def use(self, scenes: Sequence[int], since: int = 0, attempt: int = 0) -> None:
        """Serve these of the chosen scenes and no others, as if step `since` were the first.

        Another attempt draws other views and rays.
        """
        self.dataparser.part, self.since, self.attempt = tuple(scenes), since, attempt
        self.unreadable: dict[str, str] = {}
        self.atlas = self.dataparser.atlas()
        self.scene_names = [scene.name for scene in self.atlas.scenes]
        self.train_store = self._store([scene.train for scene in self.atlas.scenes])
        self.eval_store = self._store([scene.test for scene in self.atlas.scenes])
        wanted = os.environ.get(SCENE_VARIABLE) or self.config.dataparser.scene
        elsewhere = wanted in self.dataparser.whole().names and wanted not in self.scene_names
        self.select_scene(self.scene_names[0] if elsewhere else wanted)

    def scene_seed(self, scene: int) -> str:
        """Name the randomness of one of the scenes served."""
        return scene_seed(self.config.seed, self.scene_names[scene], self.attempt)

    def _store(self, views: list[Views]) -> _ViewStore:
        return _ViewStore(views, self.atlas.width, self.atlas.height)

    def select_scene(self, name: str | None) -> None:
        """Make a scene the active one; the configured or first one by default. Raises TdaError for unknown names."""
        outputs = {split: self.dataparser.outputs(name, split) for split in ("train", "test")}
        self.active_scene = self.dataparser.find(name).name
        self.train_dataparser_outputs = outputs["train"]
        self.train_dataset = AtlasDataset(outputs["train"], self.dataparser.views(name, "train"))
        self.eval_dataset = AtlasDataset(outputs["test"], self.dataparser.views(name, "test"))
        self.exclude_batch_keys_from_device = self.train_dataset.exclude_batch_keys_from_device

    @property
    def fixed_indices_eval_dataloader(self) -> FixedIndicesEvalDataloader:
        """Iterate over the active scene's held-out views."""
        return FixedIndicesEvalDataloader(self.eval_dataset, device=self.device)

    @property
    def eval_dataloader(self) -> SpiralStart:
        """Give ns-render spiral, which asks nothing else of it, the camera that it begins with."""
        cameras, centre = self.eval_dataset.cameras, self.dataparser.box().mean(0)
        start = cameras[:1]
        start.camera_to_worlds = spiral_start(cameras.camera_to_worlds, centre)[None]
        return SpiralStart(start)

    @property
    def images_per_step(self) -> float:
        """Count the images a step visits; random rays count as the share of an image that they are."""
        return self.scenes_at_once * self.config.views_per_scene * self.rays_share

    @property
    def rays_share(self) -> float:
        """Share of an image that a step sees of it."""
        rays, pixels = self.config.rays_per_view, self.atlas.width * self.atlas.height
        return 1.0 if rays is None else rays / pixels

    def draw(self, step: int) -> tuple[Int[Tensor, " scene"], list[int]]:
        """Draw the scenes of a step, and say how often each was at work before.

        Every round has each scene once. Scenes are shuffled as often as rounds and steps end together, so that a step
        never has a scene twice.
        """
        step -= self.since
        count, k = len(self.scene_names), self.scenes_at_once
        period = count // math.gcd(count, k)
        order = torch.randperm(count, generator=seeded(self.config.seed, step // period, "scenes"))
        place = torch.arange(k) + step % period * k
        return order[place % count], [(step * k + i) // count for i in range(k)]

    @property
    def scenes_at_once(self) -> int:
        """Scenes that a step visits: K, or all there are."""
        return min(self.config.scenes_per_step, len(self.scene_names))

    def _draw_views(self, scene: int, visit: int) -> Int[Tensor, " view"]:
        """Draw V of a scene's training views for one of its visits; they differ where it has enough."""
        generator = seeded(self.scene_seed(scene), visit, "views")
        views, v = self.train_store.counts[scene], self.config.views_per_scene
        return torch.cat([torch.randperm(views, generator=generator) for _ in range(-(-v // views))])[:v]

    def next_train(self, step: int) -> tuple[Cameras, dict[str, Any]]:
        """Give the step's cameras (scene-major, `scene_idx` in their metadata) and where their images are stored.

        `seeds` name each view's own randomness, which depends on its scene and on how often that was visited alone.
        """
        self.train_count += 1
        scene, visits = self.draw(step)
        views = torch.stack([self._draw_views(s, n) for s, n in zip(scene.tolist(), visits, strict=True)])
        index = (torch.tensor(self.train_store.starts)[scene][:, None] + views).flatten()
        cameras = self.train_store.cameras(index, scene.repeat_interleave(views.shape[1])).to(self.device)
        names = [self.scene_seed(s) for s in scene.tolist()]
        seeds = tuple(f"{own}/{n}/{i}" for own, n in zip(names, visits, strict=True) for i in range(views.shape[1]))
        batch: dict[str, Any] = {"image_idx": index, "scene_idx": scene, "seeds": seeds}
        if self.config.rays_per_view is not None:
            pixels, shape = self.atlas.width * self.atlas.height, (self.config.rays_per_view,)
            drawn = [torch.randint(pixels, shape, generator=seeded(own, 0, "pixels")) for own in seeds]
            batch["pixels"] = torch.stack(drawn)
        return cameras, batch

    def train_images(self, index: Int[Tensor, " view"], keep: bool = True) -> Float[Tensor, "view 3 height width"]:
        """Read training images, in [0, 1], on the training device; keep them in memory for the next time."""
        return self._read(self.train_store, index, keep)

    def _read(self, views: _ViewStore, index: Tensor, keep: bool = True) -> Float[Tensor, "view 3 height width"]:
        """Read images in [0, 1]; where that is tolerated, those that cannot be read are NaN."""
        try:
            return views.images(index, keep).to(self.device).float().div_(255)
        except TdaError as error:
            if len(index) > 1:
                return torch.cat([self._read(views, one, keep) for one in index.split(1)])
            name = self.scene_names[bisect_right(views.starts, int(index)) - 1]
            if not self.tolerant:
                rest = shlex.join([*(self.config.dataparser.scenes or "*"), f"!{name}"])
                instead = f" Or leave its scene out: {OPTION} {rest}" if self.total > 1 else ""
                raise TdaError(f"{error}{instead}") from error
            if name not in self.unreadable:
                self.unreadable[name] = str(error)
                CONSOLE.print(f"Scene '{name}' will be put aside: {error}", style="yellow", markup=False)
            return torch.full((1, 3, views.height, views.width), torch.nan, device=self.device)

    def eval_views(self) -> Iterator[tuple[int, Cameras, Float[Tensor, "view 3 height width"]]]:
        """Go through the scenes in order: index, held-out cameras and their images in [0, 1]."""
        for s, (start, count) in enumerate(zip(self.eval_store.starts, self.eval_store.counts, strict=True)):
            index = torch.arange(start, start + count)
            cameras = self.eval_store.cameras(index, torch.full((count,), s)).to(self.device)
            yield s, cameras, self._read(self.eval_store, index)

    def next_eval(self, step: int) -> tuple[Cameras, dict[str, Tensor]]:
        """Give one held-out view, another one at every step."""
        return self.next_eval_image(step)

    def next_eval_image(self, step: int) -> tuple[Cameras, dict[str, Tensor]]:
        """Give one held-out view, drawn from (seed, step), with its image [height, width, 3] in [0, 1]."""
        generator, counts = seeded(self.config.seed, step, "eval"), torch.tensor(self.eval_store.counts)
        index = torch.randint(int(counts.sum()), (1,), generator=generator)
        scene = int(torch.searchsorted(counts.cumsum(0), index, right=True))
        cameras = self.eval_store.cameras(index, torch.tensor([scene])).to(self.device)
        image = self._read(self.eval_store, index)[0].permute(1, 2, 0)
        return cameras, {"image": image, "image_idx": index}

    def get_train_rays_per_batch(self) -> int:
        """Count the image pixels a step explains (nerfstudio's unit of training speed)."""
        return round(self.images_per_step * self.atlas.width * self.atlas.height)

    def get_eval_rays_per_batch(self) -> int:
        """Count the pixels of one held-out view."""
        return self.atlas.width * self.atlas.height

    def get_datapath(self) -> Path:
        """Name the atlas' folder, in which the viewer keeps camera paths."""
        return Path(self.config.dataparser.data)

    def get_param_groups(self) -> dict:
        """Own nothing that trains."""
        return {}

    def setup_train(self) -> None:
        """Need nothing: batches are drawn by step."""

    def setup_eval(self) -> None:
        """Need nothing: held-out views are read in order."""


class SpiralStart:
    """One camera, in a dataloader's place."""

    def __init__(self, camera: Cameras) -> None:
        self.camera = camera

    def get_camera(self, image_idx: int = 0) -> tuple[Cameras, dict[str, Any]]:
        """Give the camera, whatever the index."""
        return self.camera, {}


class _ViewStore:
    """All views of a split of all scenes, one after the other: cameras in memory, images read when first needed."""

    def __init__(self, views: list[Views], width: int, height: int) -> None:
        self.counts = [len(v) for v in views]
        self.starts = [sum(self.counts[:i]) for i in range(len(views))]
        self.width, self.height = width, height
        self.c2w = torch.cat([v.c2w for v in views])
        self.fx, self.fy = torch.cat([v.fx for v in views]), torch.cat([v.fy for v in views])
        self.cx, self.cy = torch.cat([v.cx for v in views]), torch.cat([v.cy for v in views])
        self.names = [path.stem for v in views for path in v.paths]
        self.store = ImageStore([picture for v in views for picture in v.pictures], width, height)

    def cameras(self, index: Tensor, scene: Tensor) -> Cameras:
        return Cameras(
            camera_to_worlds=self.c2w[index],
            fx=self.fx[index],
            fy=self.fy[index],
            cx=self.cx[index],
            cy=self.cy[index],
            width=self.width,
            height=self.height,
            camera_type=CameraType.PERSPECTIVE,
            metadata={"scene_idx": scene[:, None]},
        )

    def images(self, index: Tensor, keep: bool = True) -> Tensor:
        return self.store.get(index.tolist(), keep).permute(0, 3, 1, 2)
