"""The Learner: scenes, autoencoder and optimizers of one wave, and the training step that moves them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.amp.grad_scaler import GradScaler

from tda_nerfstudio.atlas.latent_cache import ENCODE_BATCH
from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.base.progress import track
from tda_nerfstudio.base.randomness import seeded
from tda_nerfstudio.core.objective import Batch
from tda_nerfstudio.core.occupancy import due_scenes
from tda_nerfstudio.core.phase import Phase
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.scenes import LatentScenes
from tda_nerfstudio.learning.batches import Batches
from tda_nerfstudio.learning.beginning import Beginning
from tda_nerfstudio.learning.clues import Clues, recoloured
from tda_nerfstudio.learning.timeline import Span, span_at
from tda_nerfstudio.learning.training_step import TrainingStep
from tda_nerfstudio.learning.waves import Wave

BACKGROUND_EVERY = 50
"""Steps between measurements of the latent background in phases that train the autoencoder."""
SCALED_BY = 512
"""Most training images that the latent scale is measured on."""


class Learner:
    """Learn the scenes of one wave, which are the first rows of the table.

    What a step does follows from its number and from the state of tensors and optimizers. A run that is resumed from a
    checkpoint therefore ends with the same bits as one that was never cut.
    """

    def __init__(
        self,
        scenes: LatentScenes,
        codec: Autoencoder,
        batches: Batches,
        wave: Wave,
        sampling: SamplingConfig,
        seed: int,
        beginning: Callable[[], Beginning] | None = None,
        keeps_space: bool = False,
        scaler: GradScaler | None = None,
    ) -> None:
        """With `keeps_space` the latent space is given, and the wave's first step puts all scenes at their beginning.

        `beginning` is called when that is needed; without it, scenes begin at random. Without `keeps_space` the latent
        space is learnt too: its scale and background are measured in training. An enabled `scaler` turns on mixed
        precision.
        """
        self.scenes, self.codec, self.batches, self.wave = scenes, codec, batches, wave
        self.sampling, self.seed, self.beginning, self.keeps_space = sampling, seed, beginning, keeps_space
        self.training = TrainingStep(scenes, codec, sampling, seed, scaler)
        self.span: Span | None = None

    @property
    def names(self) -> list[str]:
        """Names of the wave's scenes, in the order of their rows in the table."""
        return self.batches.views.names

    @property
    def device(self) -> torch.device:
        """The device of all tensors."""
        return self.scenes.box.device

    @property
    def independent(self) -> bool:
        """Whether scenes do not depend on each other, since no phase moves what they share."""
        return self.keeps_space and all(phase.rates.keys() <= {"micro", "weights"} for phase in self.wave.phases)

    def beside(self, scenes: LatentScenes, batches: Batches, wave: Wave) -> Learner:
        """Make another learner, of other scenes in the same space."""
        given = (self.sampling, self.seed, self.beginning, self.keeps_space, self.training.scaler)
        return Learner(scenes, self.codec, batches, wave, *given)

    def step(self, step: int) -> dict[str, Tensor]:
        """Take a training step and return its weighted losses by name.

        Raises TdaError for a training image that cannot be read, unless the views tolerate it.
        """
        span = self.prepare(step)
        return self.training.take(span.phase, self.batch(step, span.phase), step)

    def batch(self, step: int, phase: Phase, keep: bool = True) -> Batch:
        """Make the batch of a step, with what the starter sees if it trains. Raises TdaError as `step` does."""
        batch = self.batches.batch(step, phase, keep)
        if not phase.starts:
            return batch
        scene, visits = self.batches.draw(step)
        drawn = [(row, self.batches.seeds[row], visit) for row, visit in zip(scene.tolist(), visits, strict=True)]
        surfaces = tuple(self.clues.variant(*one, self.hulls.get(one[0])).to(self.device) for one in drawn)
        hulls = [self.hulls.get(row, torch.ones_like(self.scenes.occupied[row])) for row in scene.tolist()]
        batch = batch._replace(surfaces=surfaces, hulls=torch.stack(hulls))
        return recoloured(batch, self.seed, step) if self.codec.keeps_pixels and batch.parts is not None else batch

    @cached_property
    def clues(self) -> Clues:
        """What the starter sees of scenes."""
        sizes = self.scenes.config
        return Clues(self.batches.silhouettes, self.scenes.box.cpu(), sizes.grid, sizes.resolution)

    def prepare(self, step: int) -> Span:
        """Do everything that comes before the losses of a step, and return the step's phase.

        The first step of a wave places the scenes. The first step of a phase drops optimizer states. Every step sets
        learning rates, and updates the occupancy of scenes that are due.
        """
        span = span_at(self.wave.spans, step)
        if step == self.wave.start:
            if self.keeps_space:
                self.place_scenes()
            else:
                self.within_hulls()
        if span is not self.span:
            self.enter(span)
        if step == span.start:
            self.begin(span)
        elif span.phase.encodes and (step - span.start) % BACKGROUND_EVERY == 0:
            self.measure_background()
        due, grow = due_scenes(*self.batches.draw(step), span.share(step))
        if span.phase.renders and len(due):
            self.scenes.refresh(due.to(self.device), self.codec.background, grow, self.hulls)
        self.training.set_rates(span.phase.rates, span.rate_share(step))
        return span

    def place_scenes(self) -> None:
        """Put all scenes where new scenes begin. Raises TdaError when that cannot be read."""
        if self.beginning is None:
            self.scenes.cold_start([seeded(own, 0, "start") for own in self.batches.seeds])
        else:
            weights, occupied, starts = self.beginning()
            self.scenes.warm_start(weights.to(self.device), occupied.to(self.device))
            if starts and self.scenes.starter is not None:
                for row, hull in track(self.hulls.items(), "Placing scenes", len(self.hulls)):
                    surface = self.clues.surface(row, range(self.batches.views.train.counts[row]), hull.cpu())
                    self.scenes.start_row(row, weights.to(self.device), surface.to(self.device))
        self.within_hulls()

    def within_hulls(self) -> None:
        """Let rays sample the visual hull of each scene that has one, and no more."""
        for row, hull in self.hulls.items():
            self.scenes.occupied[row] = hull

    @cached_property
    def hulls(self) -> dict[int, Bool[Tensor, "G G G"]]:
        """The cells of each scene's visual hull, by its row, where its images show what is empty."""
        box, cells = self.scenes.box.cpu(), self.scenes.config.grid
        rows = track(range(len(self.names)), "Carving visual hulls")
        carved = ((row, self.batches.silhouettes.hull(row, box, cells)) for row in rows)
        return {row: hull.to(self.device) for row, hull in carved if hull is not None}

    def enter(self, span: Span) -> None:
        """Switch to a phase: choose the groups that move, and forget latents if the encoder does. No tensor changes."""
        self.span = span
        if span.phase.encodes:
            self.batches.latents.drop()
        self.training.move(span.phase.rates)

    def begin(self, span: Span) -> None:
        """Do what only the first step of a phase does: drop optimizer states, measure latent scale and background."""
        for name in span.phase.rates:
            if name in self.training.optimizers:
                self.training.optimizers[name].state.clear()
        if not self.keeps_space:
            if span is next((other for other in self.wave.spans if other.phase.renders), None):
                self.calibrate()
            self.measure_background()

    @torch.no_grad()
    def calibrate(self) -> None:
        """Set the latent scale a from training images, evenly spread over all scenes.

        Raises TdaError if it is not finite.
        """
        views = self.batches.views
        index = torch.linspace(0, len(views.train) - 1, min(len(views.train), SCALED_BY)).long().unique()
        latents = [self.codec.encode(views.images(views.train, part)) for part in index.split(ENCODE_BATCH)]
        self.codec.calibrate(torch.cat(latents))

    def measure_background(self) -> None:
        """Set the background: the normalised latent of an empty image, by the encoder as it is now."""
        self.codec.measure_background(self.batches.views.height, self.batches.views.width)

    def dry_step(self, span: Span) -> float:
        """Measure the seconds that losses and gradients of a phase's first step take, when they are computed again.

        No parameter or buffer changes. Where the encoder will move, only the batch's own latents are encoded, since
        cached latents of all views would soon be out of date.
        """
        self.training.move(span.phase.rates)
        batch = self.batch(span.start, span.phase, keep=self.keeps_space)
        buffers = [*self.scenes.buffers(), *self.codec.buffers()]
        before, seconds = [buffer.clone() for buffer in buffers], 0.0
        for row, hull in self.hulls.items():  # as the first step will, so that rays are as short
            self.scenes.occupied[row] &= hull
        for _ in range(2):
            began = time.perf_counter()
            self.training.backward(self.training.losses(span.phase, batch, span.start))
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            seconds = time.perf_counter() - began
            self.training.clear()
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)
        return seconds
