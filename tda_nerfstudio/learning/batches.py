"""The batch of a step: which scenes, views and rays it sees. It follows from seed, names of scenes and step alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.base.randomness import scene_seed, seeded
from tda_nerfstudio.core.objective import Batch
from tda_nerfstudio.core.phase import Phase
from tda_nerfstudio.learning.latents import TrainingLatents
from tda_nerfstudio.learning.silhouettes import Silhouettes
from tda_nerfstudio.learning.views import SceneViews


@dataclass(frozen=True)
class StepSize:
    """How many scenes, views and rays a step sees."""

    scenes: int = 4
    """K: scenes of a step, at least 1. The planes of each are fused once a step."""
    views: int = 1
    """V: whole views of each of these scenes, at least 1, in phases that encode or decode images."""
    rays: int | None = 32
    """Random parts of each view, at least 1, in the other phases. None takes whole views there too."""
    ray_views: int = 8
    """Views of each scene that random parts are taken from, at least 1. Small samples of many views teach most."""

    def at_once(self, scenes: int) -> int:
        """Count the scenes of a step where there are `scenes` in all."""
        return min(self.scenes, scenes)

    def share(self, parts: int) -> float:
        """Return the share of a view that a step's random parts of a scene are; without such, that of its views."""
        return self.views if self.rays is None else self.ray_views * self.rays / parts

    def takes_parts(self, phase: Phase) -> bool:
        """Whether a phase's steps see random parts of views, and not whole views."""
        return self.rays is not None and not phase.needs_images

    def images(self, phase: Phase, scenes: int, parts: int) -> float:
        """Count the images of a phase's step. Random parts count as their share of a view's `parts`."""
        return self.at_once(scenes) * (self.share(parts) if self.takes_parts(phase) else self.views)


class Batches:
    """Make the batch of every step of a wave whose first step is `since`.

    Views and rays of a scene follow from its own seed and from how often it was visited. They do not depend on the
    other scenes of the wave. Another `attempt` draws other views and rays.
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
        """Keep latents of training images in `folder` for later runs. Give None if the encoder may still move."""
        self.views, self.size, self.seed, self.since, self.attempt = views, size, seed, since, attempt
        self.seeds = [scene_seed(seed, name, attempt) for name in views.names]
        """Seed of each scene's own randomness."""
        self.latents = TrainingLatents(codec, views, folder)
        self.silhouettes = Silhouettes(views, codec.f, codec.sub)

    def only(self, rows: list[int], attempt: int) -> Batches:
        """Make batches of some of the scenes, given by their rows, for another attempt."""
        codec, folder = self.latents.codec, self.latents.folder
        return Batches(self.views.only(rows), codec, self.size, self.seed, self.since, attempt, folder)

    @property
    def parts(self) -> int:
        """Count the parts of all latent pixels of a view."""
        return self.silhouettes.parts

    def draw(self, step: int) -> tuple[Int[Tensor, " scene"], list[int]]:
        """Draw the scenes of a step, by their rows, and count the earlier visits of each.

        Every round visits each scene once. A new order is drawn whenever a round ends together with a step. Hence no
        step visits a scene twice.
        """
        step -= self.since
        count = len(self.views.names)
        k = self.size.at_once(count)
        period = count // math.gcd(count, k)
        order = torch.randperm(count, generator=seeded(self.seed, step // period, "scenes"))
        position = torch.arange(k) + step % period * k
        return order[position % count], [(step * k + i) // count for i in range(k)]

    def _draw_views(self, scene: int, visit: int, v: int) -> Int[Tensor, " view"]:
        """Draw `v` of a scene's training views for one visit. None is drawn twice if the scene has that many."""
        generator, table = seeded(self.seeds[scene], visit, "views"), self.views.train
        count = table.counts[scene]
        drawn = torch.cat([torch.randperm(count, generator=generator) for _ in range(-(-v // count))])[:v]
        return table.offsets[scene] + drawn

    def batch(
        self,
        step: int,
        phase: Phase,
        keep: bool = True,
    ) -> Batch:
        """Draw a step's cameras, scene by scene, and read the images or latents that its phase needs.

        Without `keep`, only the batch's own latents are encoded, and not kept. Raises TdaError for an image that cannot
        be read, unless the views tolerate it.
        """
        (scene, visits), some = self.draw(step), self.size.takes_parts(phase)
        device, v = self.views.device, self.size.ray_views if some else self.size.views
        drawn = list(zip(scene.tolist(), visits, strict=True))
        index = torch.cat([self._draw_views(s, n, v) for s, n in drawn])
        own = tuple(f"{self.seeds[s]}/{n}" for s, n in drawn)
        slot = torch.arange(len(scene)).repeat_interleave(v)
        view = self.views.train.view[index].to(device)
        batch = Batch(
            scene.to(device), slot.to(device), view, height=self.views.height, width=self.views.width, seeds=own
        )
        if phase.needs_images:
            batch = batch._replace(images=self.views.images(self.views.train, index))
        if some:
            assert self.size.rays is not None
            generators = [seeded(name, 0, "parts") for name in own]
            parts = self.silhouettes.draw(index, self.size.rays, generators)
            return batch._replace(parts=self.latents.parts(index, parts, keep))
        if "latent" in phase.losses and not phase.encodes:
            batch = batch._replace(latents=self.latents(index, keep))
        return batch
