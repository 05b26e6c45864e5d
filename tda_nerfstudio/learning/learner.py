"""The Learner: everything that moves while scenes are learnt, and one step of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler

from tda_nerfstudio.atlas.latent_cache import ENCODE_BATCH
from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.base.randomness import seeded
from tda_nerfstudio.core.occupancy import due_scenes
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.scenes import LatentScenes
from tda_nerfstudio.learning.batches import Batches
from tda_nerfstudio.learning.beginning import Beginning
from tda_nerfstudio.learning.schedule import Span, span_at
from tda_nerfstudio.learning.training_step import TrainingStep
from tda_nerfstudio.learning.waves import Wave

BACKGROUND_EVERY = 50
"""Steps between measurements of the latent background while the encoder trains."""
SCALED_BY = 512
"""Training images on which the latent scale is measured, at most."""


class Learner:
    """Learn the scenes of one wave, whose rows in the table are the first ones.

    Everything depends on the absolute step alone, so that a run that was cut goes on to the same bits.
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
        """With `keeps_space` the latent space is given: new scenes begin at `beginning`, or at random without one.

        Else the space is learnt too, and its scale and background are measured on the way. A scaler that is enabled
        stands for mixed precision.
        """
        self.scenes, self.codec, self.batches, self.wave = scenes, codec, batches, wave
        self.sampling, self.seed, self.beginning, self.keeps_space = sampling, seed, beginning, keeps_space
        self.training = TrainingStep(scenes, codec, sampling, seed, scaler)
        self.span: Span | None = None

    @property
    def names(self) -> list[str]:
        """The scenes at work, by their rows in the table."""
        return self.batches.views.names

    @property
    def device(self) -> torch.device:
        """Where all of it is."""
        return self.scenes.box.device

    @property
    def independent(self) -> bool:
        """Whether scenes learn by themselves, as nothing that they share moves."""
        return self.keeps_space and all(phase.rates.keys() <= {"micro", "weights"} for phase in self.wave.phases)

    def beside(self, scenes: LatentScenes, batches: Batches, wave: Wave) -> Learner:
        """Make another learner, of other scenes in the same space."""
        given = (self.sampling, self.seed, self.beginning, self.keeps_space, self.training.scaler)
        return Learner(scenes, self.codec, batches, wave, *given)

    def step(self, step: int) -> dict[str, Tensor]:
        """Take one step; give its weighted losses."""
        span = self.prepare(step)
        return self.training.take(span.phase, self.batches.batch(step, span.phase), step)

    def prepare(self, step: int) -> Span:
        """Make the step's phase act: trainable groups, learning rates, background, cached latents.

        Optimizer states are dropped when their phase begins.
        """
        self.scenes.train()
        self.codec.train()
        span = span_at(self.wave.spans, step)
        if step == self.wave.start and self.keeps_space:
            self.place_scenes()
        if span is not self.span:
            self.enter(span)
        if step == span.start:
            self.begin(span)
        elif span.phase.encodes and (step - span.start) % BACKGROUND_EVERY == 0:
            self.measure_background()
        due, grow = due_scenes(*self.batches.draw(step), span.share(step))
        if span.phase.renders and len(due):
            self.scenes.refresh(due.to(self.device), self.codec.background, grow)
        self.training.set_rates(span.phase.rates, span.rate_share(step))
        return span

    def place_scenes(self) -> None:
        """Put all scenes at their beginning."""
        if self.beginning is None:
            self.scenes.cold_start([seeded(own, 0, "start") for own in self.batches.scene_seeds()])
        else:
            self.scenes.warm_start(*(part.to(self.device) for part in self.beginning()))

    def enter(self, span: Span) -> None:
        """Switch to a phase without touching what was learnt: which groups move, and no stale latents."""
        self.span = span
        if span.phase.encodes:
            self.batches.latents.drop()
        self.training.move(span.phase.rates)

    def begin(self, span: Span) -> None:
        """Do what happens once, at a phase's first step: fresh optimizer states, latent scale, background."""
        for name in span.phase.rates:
            if name in self.training.optimizers:
                self.training.optimizers[name].state.clear()
        if not self.keeps_space:
            if span is next((other for other in self.wave.spans if other.phase.renders), None):
                self.calibrate()
            self.measure_background()

    @torch.no_grad()
    def calibrate(self) -> None:
        """Measure the latent scale a on training images, evenly spread."""
        views = self.batches.views
        index = torch.linspace(0, len(views.train) - 1, min(len(views.train), SCALED_BY)).long().unique()
        latents = [self.codec.encode(views.images(views.train, part)) for part in index.split(ENCODE_BATCH)]
        self.codec.calibrate(torch.cat(latents))

    def measure_background(self) -> None:
        """Measure the normalised latent of an empty image with the encoder as it is now."""
        self.codec.measure_background(self.batches.views.height, self.batches.views.width)

    def dry_step(self, span: Span) -> float:
        """Time losses and gradients of a phase's first step, in seconds, the second time they are computed.

        Nothing that trains changes. While the encoder is still to move, latents of the right shape are enough: to cache
        all of them would be in vain.
        """
        self.training.move(span.phase.rates)
        latents = self.batches.latents if self.keeps_space else self.batches.latents.encode
        batch = self.batches.batch(span.start, span.phase, latents)
        buffers = [*self.scenes.buffers(), *self.codec.buffers()]
        before, seconds = [buffer.clone() for buffer in buffers], 0.0
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
