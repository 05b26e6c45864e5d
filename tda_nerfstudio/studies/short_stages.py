"""Both stages, short and without nerfstudio, by the code that every run learns with: how good they get on a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tda_nerfstudio.atlas.atlas import Atlas, read_atlas
from tda_nerfstudio.atlas.bounds import fit_box
from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.autoencoder.build import build, resolve
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.metrics import psnr
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.scenes import LatentScenes
from tda_nerfstudio.core.showing import decode, march
from tda_nerfstudio.core.view import View
from tda_nerfstudio.learning.batches import Batches, StepSize
from tda_nerfstudio.learning.beginning import mean_beginning
from tda_nerfstudio.learning.learn_wave import learn_wave
from tda_nerfstudio.learning.learner import Learner
from tda_nerfstudio.learning.retry import table_beside
from tda_nerfstudio.learning.schedule import SHORT_WARMUP, Setting, StageOne
from tda_nerfstudio.learning.views import SceneViews
from tda_nerfstudio.learning.waves import plan
from tda_nerfstudio.making.raycast import Camera
from tda_nerfstudio.making.writing import sphere_views, write_scene
from tda_nerfstudio.store.manifest import SharedConfig
from tda_nerfstudio.store.shared_parts import SharedParts
from tda_nerfstudio.studies.bench import ellipsoids

Show = Callable[[str, float, float], None]


@dataclass(frozen=True)
class Length:
    """How many scenes each stage learns, and in how many steps."""

    scenes: tuple[int, int] = (4, 2)
    steps: tuple[int, int] = (120, 60)
    views: tuple[int, int] = (20, 4)
    """Training and held-out views of a scene that is drawn."""


@dataclass(frozen=True)
class Quality:
    """Mean PSNR of held-out views in dB after each stage, and what blank images would have."""

    stage_one: float
    stage_two: float
    blank: float


class _Painter:
    """Draw a vehicle as a ray caster does."""

    def __init__(self, seed: int) -> None:
        self.vehicle = ellipsoids.make_vehicle(seed)

    def render(self, camera: Camera) -> np.ndarray:
        """Return straight-alpha RGBA, all of it opaque."""
        view = View.of(camera.c2w, camera.fx, width=camera.width, height=camera.height)
        rgba = ellipsoids.pictures(self.vehicle, view, camera.width)[0]
        rgba[3] = 1
        return (rgba.permute(1, 2, 0) * 255).round().byte().numpy()


def draw_atlas(folder: Path, length: Length, size: int, seed: int) -> Atlas:
    """Write an atlas of ellipsoid vehicles and read it."""
    for s in range(sum(length.scenes)):
        painter: Any = _Painter(1000 * seed + s)
        recipe = {"seed": seed, "index": s}
        write_scene(folder / f"vehicle_{s:02d}", painter, sphere_views(*length.views, size, (seed, s)), recipe)
    return read_atlas(folder)


def learn(atlas: Atlas, device: torch.device, length: Length, config: SharedConfig, seed: int, show: Show) -> Quality:
    """Learn a latent space on the atlas' first scenes, then the next ones in it. `show` gets what is done of how much.

    Raises TdaError for an atlas with too few scenes.
    """
    first, second = length.scenes
    if len(atlas.scenes) < first + second:
        raise TdaError(f"{atlas.root} has {len(atlas.scenes)} good scenes. Give an atlas of {first + second} or more.")
    chosen = atlas.scenes[: first + second]
    old, new = (SceneViews(replace(atlas, scenes=part), device) for part in (chosen[:first], chosen[first:]))
    config, total = replace(config, autoencoder=resolve(config.autoencoder)), sum(length.steps)
    scenes, codec = stage_one(
        old, fit_box(chosen), length.steps[0], config, seed, lambda step: show("stage 1", step, total)
    )
    table = stage_two(
        new, scenes, codec, length.steps[1], config, seed, lambda step: show("stage 2", length.steps[0] + step, total)
    )
    blank = torch.cat([psnr(torch.ones_like(truth), truth) for _, _, truth in new.held_out_views()])
    show("", total, total)
    one, two = (held_out_psnr(each, codec, views, config.sampling) for each, views in ((scenes, old), (table, new)))
    return Quality(one, two, float(blank.mean()))


def stage_one(
    views: SceneViews, box: Tensor, steps: int, config: SharedConfig, seed: int, tell: Callable[[int], None]
) -> tuple[LatentScenes, Autoencoder]:
    """Learn an autoencoder together with scenes that lie in a box."""
    codec = build(config.autoencoder, seed).to(views.device)
    scenes = LatentScenes(len(views.names), codec.point_channels, config.triplane, seed)
    scenes.box.copy_(box)
    scenes, size = scenes.to(views.device), StepSize()
    batches = Batches(views, codec, size, seed)
    (wave,) = plan(
        StageOne(warmup_visits=SHORT_WARMUP).fitted(Setting(config.autoencoder, starter=scenes.starter is not None)),
        size,
        batches.parts,
        len(scenes),
        total=steps,
    )
    learner = Learner(scenes, codec, batches, wave, config.sampling, seed)
    for step in range(wave.end):
        tell(step)
        learner.step(step)
    codec.eval()
    return scenes, codec


def stage_two(
    views: SceneViews,
    scenes: LatentScenes,
    codec: Autoencoder,
    steps: int,
    config: SharedConfig,
    seed: int,
    tell: Callable[[int], None],
) -> LatentScenes:
    """Learn new scenes in the latent space of others. Raises TdaError where that goes wrong."""
    beginning, done = mean_beginning(scenes.weights.detach(), scenes.occupied, "Stage 1"), count()
    shared = SharedParts(config, table_beside(scenes, 1), codec, beginning.weights, beginning.occupied)
    # Without held-out views nothing is scored on the way: SSIM needs torchmetrics.
    blind = [replace(scene, test=scene.test[:0]) for scene in views.atlas.scenes]
    learnt = learn_wave(
        replace(views.atlas, scenes=tuple(blind)),
        shared,
        views.names,
        seed,
        steps=steps,
        device=views.device,
        stopped=lambda: bool(tell(next(done))),  # asked at every step
    )
    assert learnt is not None
    if learnt.aside:
        raise TdaError(f"Stage 2 put scenes aside: {learnt.aside}")
    table = table_beside(scenes, len(views.names))
    with torch.no_grad():
        for row, scene in enumerate(learnt.scenes):
            table.micro[row], table.weights[row] = scene.micro.flatten(), scene.weights
            if scene.occupied is not None:
                table.occupied[row] = scene.occupied
    return table


@torch.no_grad()
def held_out_psnr(scenes: LatentScenes, codec: Autoencoder, views: SceneViews, sampling: SamplingConfig) -> float:
    """Measure the mean PSNR of all held-out views in dB."""
    found = []
    for s, view, truth in views.held_out_views():
        row = torch.tensor([s], device=truth.device)
        height, width = truth.shape[-2:]
        seen = march(scenes, scenes.planes(row), scenes.occupied[row], codec, view, height, width, sampling)
        found.append(psnr(decode(codec, seen, height, width), truth))
    return float(torch.cat(found).mean())
