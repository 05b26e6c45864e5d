"""One training step of each path: ours and RGB as the pipeline takes it, plain as published."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.base.randomness import seeded
from tda_nerfstudio.core import objective as objectives
from tda_nerfstudio.core.objective import Batch
from tda_nerfstudio.core.phase import Phase
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.scenes import LatentScenes
from tda_nerfstudio.learning.schedule import RgbBaseline, StageOne, StageTwo
from tda_nerfstudio.learning.training_step import TrainingStep
from tda_nerfstudio.studies.bench import plain
from tda_nerfstudio.studies.bench.timing import Stopwatch

PHASES: dict[str, Phase] = {
    **{phase.name: phase for phase in StageOne().phases()},
    "encode-scene": StageTwo().phases()[0],
    "decode-scene": StageTwo().phases()[1],
    "encode-scene, all moves": StageTwo(shared="finetune").phases()[0],
    "rgb": RgbBaseline().phases()[0],
}


class Training:
    """Steps of one phase, and what of them is timed on its own."""

    timed: tuple[tuple[Any, str, str], ...]
    """Functions, as (owner, attribute, part)."""
    optimizers: list[tuple[torch.optim.Optimizer, float]]
    """Each with its learning rate at the phase's start."""
    steps: int = 0

    def step(self, batch: Batch, watch: Stopwatch, share: float = 0.0) -> None:
        """Take one step with a share of the learning rates; with none, all is computed and nothing moves."""
        for optimizer, rate in self.optimizers:
            optimizer.param_groups[0]["lr"] = rate * share
        with watch.watching(*self.timed):
            self.take(batch)
        self.steps += 1

    def take(self, batch: Batch) -> None:
        """Take one step."""
        raise NotImplementedError

    def state_bytes(self) -> int:
        """Count what the optimizers hold."""
        states = (state for optimizer, _ in self.optimizers for state in optimizer.state.values())
        return sum(t.nbytes for state in states for t in state.values() if isinstance(t, Tensor))


def module_bytes(*modules: nn.Module | None) -> int:
    """Count parameters and buffers."""
    return sum(t.nbytes for module in modules if module is not None for t in module.state_dict().values())


class Ours(Training):
    """The steps that the methods take."""

    def __init__(
        self, phase: Phase, scenes: LatentScenes, codec: Autoencoder, sampling: SamplingConfig, seed: int = 0
    ) -> None:
        self.phase, self.training = phase, TrainingStep(scenes, codec, sampling, seed)
        self.training.move(phase.rates)
        named = self.training.optimizers
        self.optimizers = [(named[name], rate) for name, rate in phase.rates.items() if name in named]
        self.timed = (
            (scenes, "planes", "fuse"),
            (objectives, "render_views", "march"),
            (codec, "encode", "encode"),
            (codec, "decode", "decode"),
            (self.training, "losses", "losses"),
            (self.training, "backward", "backward"),
            (self.training, "update", "optimizer"),
        )

    def take(self, batch: Batch) -> None:
        self.training.take(self.phase, batch, self.steps)


class Plainly(Training):
    """The published design's steps: one dense Adam moves everything, another the autoencoder where it moves."""

    def __init__(
        self,
        phase: str,
        scenes: plain.PlainScenes,
        codec: plain.PlainAutoencoder | None,
        f: int,
        background: Tensor,
        samples: int = plain.SAMPLES,
        seed: int = 0,
    ) -> None:
        self.given = (phase, scenes, codec)
        self.how, self.seed = (f, background, samples), seed
        params = [p for p in scenes.parameters() if p.numel()]
        self.optimizers = [(torch.optim.Adam(params), plain.RATE)]
        timed: list[tuple[Any, str, str]] = [(scenes, "planes", "fuse"), (plain, "march", "march")]
        if codec is not None:
            moving = {"joint": [codec.model], "decode-scene": [codec.model.decoder, codec.model.post_quant_conv]}
            codec.requires_grad_(False)
            params = [p.requires_grad_() for part in moving.get(phase, []) for p in part.parameters()]
            self.optimizers += [(torch.optim.Adam(params), plain.AE_RATE)] if params else []
            timed += [(codec, "encode", "encode"), (codec, "decode", "decode")]
        own = (("losses", "losses"), ("backward", "backward"), ("update", "optimizer"))
        self.timed = (*timed, *((self, name, part) for name, part in own))

    def take(self, batch: Batch) -> None:
        self.backward(self.losses(batch))
        self.update()

    def losses(self, batch: Batch) -> Tensor:
        """Sum up the losses."""
        generator = seeded(self.seed, self.steps, "rays")
        return torch.stack([*plain.losses(*self.given, batch, *self.how, generator).values()]).sum()

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients."""
        loss.backward()

    def update(self) -> None:
        """Move everything, and drop the gradients."""
        for optimizer, _ in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
