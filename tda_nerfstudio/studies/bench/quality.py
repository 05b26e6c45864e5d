"""Quality after equal visits: our path and the plain one fit the same scenes, step by step in turn.

Both start from nothing and move all their parameters by Encode-Scene's losses. "Latents" are exact area averages of
pictures of ellipsoid vehicles, so that no autoencoder has to be trained first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tda_nerfstudio.autoencoder.build import build
from tda_nerfstudio.base.randomness import seeded
from tda_nerfstudio.core.cameras import View, grid_size
from tda_nerfstudio.core.metrics import psnr
from tda_nerfstudio.core.objective import Batch
from tda_nerfstudio.core.occupancy import due_scenes
from tda_nerfstudio.core.phase import Phase
from tda_nerfstudio.core.scenes import LatentScenes
from tda_nerfstudio.core.showing import march
from tda_nerfstudio.learning.timeline import timeline
from tda_nerfstudio.studies.bench import ellipsoids, plain, training
from tda_nerfstudio.studies.bench.training import Training
from tda_nerfstudio.studies.bench.workshop import Workshop

IMAGES = 8
"""Images a step, the same on both paths: two views of each of four scenes."""
MARKS = 4
"""Points of the curve, evenly spread over the visits."""


@dataclass(frozen=True)
class Mark:
    """How good a path is after a number of visits per scene and of seconds of training steps.

    PSNR in dB of latents in [0, 1], held-out views; the loss is the mean squared error on training views, in the same
    units, rendered as for showing.
    """

    path: str
    visits: float
    seconds: float
    psnr: float
    loss: float


@dataclass(frozen=True)
class LatentViews:
    """Views of all scenes and their latents in (-1, 1), [scene, view, C, h, w]."""

    view: View
    latents: Tensor

    def batch(self, scene: Tensor, slot: Tensor, chosen: Tensor, size: int) -> Batch:
        """Pick views, given each one's scene as a position in `scene`."""
        view = self.view[chosen]
        return Batch(scene, slot, view, size, size, latents=self.latents[scene[slot], chosen])


def make_views(shop: Workshop, elevations: tuple[float, ...], count: int) -> LatentViews:
    """Draw all vehicles from cameras on orbits."""
    size = shop.sizes.image
    view = ellipsoids.cameras(elevations, count, size)
    vehicles = [ellipsoids.make_vehicle(1000 + shop.seed + s) for s in range(shop.sizes.fit_scenes)]
    latents = torch.stack([shop.latents(ellipsoids.pictures(vehicle, view, size)) for vehicle in vehicles])
    return LatentViews(view.to(shop.device), latents.to(shop.device))


def fit(shop: Workshop, show: Callable[[str, float, float], None]) -> list[Mark]:
    """Train both paths on the same images in turn; measure each of them at the same visits."""
    show("drawing vehicles", 0, 0)
    sizes, device = shop.sizes, shop.device
    train, test = make_views(shop, ellipsoids.TRAIN_ORBITS, 10), make_views(shop, ellipsoids.TEST_ORBITS, 5)
    count, visited = sizes.fit_scenes, min(IMAGES // 2, sizes.fit_scenes)
    phase = replace(training.PHASES["encode-scene, all moves"], visits=sizes.fit_visits)
    (span,) = timeline([phase], count, lambda _: IMAGES, round_steps=count / visited)
    scenes, *ours = _ours(shop, phase)
    paths = {"ours": ours, "plain": _plain(shop)}
    watches, marks = {path: shop.stopwatch() for path in paths}, []
    for step in range(span.end):
        show("fitting", step, span.end)
        generator = seeded(shop.seed, step, "fit")
        scene = torch.randperm(count, generator=generator)[:visited].to(device)
        slot = torch.arange(visited, device=device).repeat_interleave(IMAGES // visited)
        chosen = torch.randint(len(train.view.fx), slot.shape, generator=generator).to(device)
        batch = train.batch(scene, slot, chosen, sizes.image)
        for path, (trained, _) in paths.items():
            trained.step(batch, watches[path], span.rate_share(step))
        due, grow = due_scenes(scene, [span.rounds(step)] * visited, span.share(step))
        if len(due):
            with watches["ours"].part("grid"):
                scenes.refresh(due, shop.background, grow)
        if (step + 1) * MARKS // span.end > step * MARKS // span.end:
            for path, (_, render) in paths.items():
                quality, loss = _score(test, render, sizes.image)[0], _score(train, render, sizes.image)[1]
                seconds = sum(watches[path].parts.values())
                marks.append(Mark(path, (step + 1) * IMAGES / count, seconds, quality, loss))
    show("", span.end, span.end)
    return marks


def _ours(shop: Workshop, phase: Phase) -> tuple[LatentScenes, Training, Callable[[Batch], Tensor]]:
    scenes = LatentScenes(shop.sizes.fit_scenes, ellipsoids.CHANNELS, shop.sizes.triplane, shop.seed)
    scenes.box.copy_(shop.box)
    scenes, how = scenes.to(shop.device), shop.sizes.sampling
    codec = build(replace(shop.sizes.autoencoder, channels=ellipsoids.CHANNELS)).to(shop.device)
    codec.background.copy_(shop.background)
    trained = training.Ours(phase, scenes, codec, how, shop.seed)

    def render(batch: Batch) -> Tensor:
        occupied, (h, w) = scenes.occupied[batch.scene], grid_size(batch.height, batch.width, codec.f)
        planes = scenes.planes(batch.scene)
        seen = march(scenes, planes, occupied, codec, batch.view, batch.height, batch.width, how)
        return seen.latent.view(-1, h, w, codec.channels).permute(0, 3, 1, 2)

    return scenes, trained, render


def _plain(shop: Workshop) -> tuple[Training, Callable[[Batch], Tensor]]:
    sizes, config, background = shop.sizes, shop.sizes.triplane, shop.background
    features = (config.micro_channels, config.macro_channels, config.bases, config.resolution)
    scenes = plain.PlainScenes(sizes.fit_scenes, ellipsoids.CHANNELS, *features, shop.seed).to(shop.device)
    trained = training.Plainly("encode-scene", scenes, None, sizes.f, background, sizes.plain_samples, shop.seed)
    return trained, lambda batch: plain.render(scenes, batch, sizes.f, background, sizes.plain_samples)[1]


@torch.no_grad()
def _score(views: LatentViews, render: Callable[[Batch], Tensor], size: int, most: int = 10) -> tuple[float, float]:
    """PSNR and mean squared error of up to 10 views of each scene, evenly spread, as latents in [0, 1]."""
    scores, errors, device = [], [], views.latents.device
    for s in range(len(views.latents)):
        chosen = torch.linspace(0, len(views.view.fx) - 1, most, device=device).long()
        scene = torch.tensor([s], device=device)
        batch = views.batch(scene, torch.zeros_like(chosen), chosen, size)
        assert batch.latents is not None
        seen, truth = (render(batch) + 1) / 2, (batch.latents + 1) / 2
        scores.append(psnr(seen, truth).mean())
        errors.append((seen - truth).square().mean())
    return float(torch.stack(scores).mean()), float(torch.stack(errors).mean())
