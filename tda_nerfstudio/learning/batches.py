"""Which scenes and views a step sees: drawn from the seed, the scenes' names and the step alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.base.randomness import scene_seed, seeded
from tda_nerfstudio.core.objective import Batch
from tda_nerfstudio.core.phase import Phase
from tda_nerfstudio.learning.latents import TrainingLatents
from tda_nerfstudio.learning.views import SceneViews


@dataclass(frozen=True)
class StepSize:
    """How much a step sees."""

    scenes: int = 4
    """K: scenes in a step; the planes of each are fused once."""
    views: int = 1
    """V: views of each of these scenes."""
    rays: int | None = None
    """Random latent pixels of each view; all of them by default."""

    def at_once(self, scenes: int) -> int:
        """Count the scenes in a step: K, or all there are."""
        return min(self.scenes, scenes)

    def images(self, scenes: int, pixels: int) -> float:
        """Count the images that a step sees; random rays count as the share of an image's pixels that they are."""
        return self.at_once(scenes) * self.views * (1.0 if self.rays is None else self.rays / pixels)


class Batches:
    """Make the batch of every step of a wave that begins at step `since`.

    A scene's views and rays follow from its own seed and from how often it was visited: they are the same whatever
    learns beside it. Another attempt draws others.
    """

    def __init__(
        self,
        views: SceneViews,
        codec: Autoencoder,
        size: StepSize,
        seed: int,
        since: int = 0,
        attempt: int = 0,
        folder: Path | None = None,
    ) -> None:
        """Keep latents in `folder` for later runs; None where the encoder may still move."""
        self.views, self.size, self.seed, self.since, self.attempt = views, size, seed, since, attempt
        self.latents = TrainingLatents(codec, views, folder)

    def only(self, rows: list[int], attempt: int) -> Batches:
        """Draw some of the scenes alone, in another attempt."""
        codec, folder = self.latents.codec, self.latents.folder
        return Batches(self.views.only(rows), codec, self.size, self.seed, self.since, attempt, folder)

    @property
    def images_per_step(self) -> float:
        """Count the images that a step sees."""
        return self.size.images(len(self.views.names), self.views.pixels)

    def scene_seeds(self) -> list[str]:
        """Name each scene's own randomness."""
        return [scene_seed(self.seed, name, self.attempt) for name in self.views.names]

    def draw(self, step: int) -> tuple[Int[Tensor, " scene"], list[int]]:
        """Draw the scenes of a step, and count the earlier visits of each.

        Every scene comes once in each round. A new order is drawn whenever a round ends together with a step, so that
        no step has a scene twice.
        """
        step -= self.since
        count = len(self.views.names)
        k = self.size.at_once(count)
        period = count // math.gcd(count, k)
        order = torch.randperm(count, generator=seeded(self.seed, step // period, "scenes"))
        place = torch.arange(k) + step % period * k
        return order[place % count], [(step * k + i) // count for i in range(k)]

    def _draw_views(self, scene: int, seed: str, visit: int) -> Int[Tensor, " view"]:
        """Draw V of a scene's training views for one visit; they differ where it has enough."""
        generator, table, v = seeded(seed, visit, "views"), self.views.train, self.size.views
        count = table.counts[scene]
        drawn = torch.cat([torch.randperm(count, generator=generator) for _ in range(-(-v // count))])[:v]
        return table.starts[scene] + drawn

    def batch(
        self,
        step: int,
        phase: Phase,
        latents: Callable[[Int[Tensor, " view"]], Float[Tensor, "view channel h w"]] | None = None,
    ) -> Batch:
        """Draw a step's cameras, scene-major, and read what its phase compares their renderings with.

        Latents come from `latents`, by default from the cache.
        """
        scene, visits = self.draw(step)
        seeds, device = self.scene_seeds(), self.views.device
        drawn = list(zip(scene.tolist(), visits, strict=True))
        index = torch.cat([self._draw_views(s, seeds[s], n) for s, n in drawn])
        own = tuple(f"{seeds[s]}/{n}/{i}" for s, n in drawn for i in range(self.size.views))
        slot = torch.arange(len(scene)).repeat_interleave(self.size.views)
        view = self.views.train.view[index].to(device)
        batch = Batch(
            scene.to(device), slot.to(device), view, height=self.views.height, width=self.views.width, seeds=own
        )
        if self.size.rays is not None:
            shape = (self.size.rays,)
            rays = [torch.randint(self.views.pixels, shape, generator=seeded(name, 0, "pixels")) for name in own]
            batch = batch._replace(pixels=torch.stack(rays).to(device))
        if phase.needs_images:
            batch = batch._replace(images=self.views.images(self.views.train, index))
        if "latent" in phase.losses and not phase.encodes:
            batch = batch._replace(latents=(latents or self.latents)(index))
        return batch
