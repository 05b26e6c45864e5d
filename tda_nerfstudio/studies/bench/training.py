"""One training step of each path: ours and RGB as the pipeline takes it, plain as published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
from tda_nerfstudio.learning.learner import make_optimizer, parameter_groups
from tda_nerfstudio.learning.schedule import RgbBaseline, StageOne, StageTwo
from tda_nerfstudio.studies.bench import plain
from tda_nerfstudio.studies.bench.timing import Stopwatch

PHASES: dict[str, Phase] = {
    **{phase.name: phase for phase in StageOne().phases()},
    "encode-scene": StageTwo().phases()[0],
    "decode-scene": StageTwo().phases()[1],
    "encode-scene, all moves": StageTwo(shared="finetune").phases()[0],
    "rgb": RgbBaseline().phases()[0],
}


@dataclass
class Training:
    """Losses, and the optimizers that follow them."""

    losses: Callable[[Batch, int], dict[str, Tensor]]
    optimizers: list[tuple[torch.optim.Optimizer, float]]
    """Each with its learning rate at the phase's start."""
    timed: tuple[tuple[Any, str, str], ...] = ()
    """Functions to time on their own: (owner, attribute, part)."""
    steps: int = 0

    def step(self, batch: Batch, watch: Stopwatch, share: float = 0.0) -> None:
        """Take one step with a share of the learning rates; with none, all is computed and nothing moves."""
        for optimizer, rate in self.optimizers:
            optimizer.param_groups[0]["lr"] = rate * share
        with watch.watching(*self.timed), watch.part("losses"):
            loss = torch.stack(list(self.losses(batch, self.steps).values())).sum()
        with watch.part("backward"):
            loss.backward()
        with watch.part("optimizer"):
            for optimizer, _ in self.optimizers:
                optimizer.step()
                optimizer.zero_grad()
        self.steps += 1

    def state_bytes(self) -> int:
        """Count what the optimizers hold."""
        states = (state for optimizer, _ in self.optimizers for state in optimizer.state.values())
        return sum(t.nbytes for state in states for t in state.values() if isinstance(t, Tensor))


def module_bytes(*modules: nn.Module | None) -> int:
    """Count parameters and buffers."""
    return sum(t.nbytes for module in modules if module is not None for t in module.state_dict().values())


def ours(phase: Phase, scenes: LatentScenes, codec: Autoencoder, sampling: SamplingConfig, seed: int = 0) -> Training:
    """Train what a phase moves, by the losses and the optimizers of the method."""
    optimizers = []
    for name, params in parameter_groups(scenes, codec).items():
        for param in params:
            param.requires_grad_(name in phase.rates)
        if name in phase.rates:
            optimizers.append((make_optimizer(name, params), phase.rates[name]))
    timed = (
        (scenes, "planes", "fuse"),
        (objectives, "render_views", "march"),
        (codec, "encode", "encode"),
        (codec, "decode", "decode"),
    )

    def losses(batch: Batch, step: int) -> dict[str, Tensor]:
        return objectives.objective(phase, scenes, codec, batch, sampling, seed, step)

    return Training(losses, optimizers, timed)


def plainly(
    phase: str,
    scenes: plain.PlainScenes,
    codec: plain.PlainAutoencoder | None,
    f: int,
    background: Tensor,
    samples: int = plain.SAMPLES,
    seed: int = 0,
) -> Training:
    """Train everything in one dense Adam, as published; the autoencoder in the phases that move it, at 1e-4."""

    def losses(batch: Batch, step: int) -> dict[str, Tensor]:
        return plain.losses(phase, scenes, codec, batch, f, background, samples, seeded(seed, step, "rays"))

    params = [p for p in scenes.parameters() if p.numel()]
    optimizers: list[tuple[torch.optim.Optimizer, float]] = [(torch.optim.Adam(params), plain.RATE)]
    timed: list[tuple[Any, str, str]] = [(scenes, "planes", "fuse"), (plain, "march", "march")]
    if codec is not None:
        moving = {"joint": [codec.model], "decode-scene": [codec.model.decoder, codec.model.post_quant_conv]}
        codec.requires_grad_(False)
        params = [p.requires_grad_() for part in moving.get(phase, []) for p in part.parameters()]
        optimizers += [(torch.optim.Adam(params), plain.AE_RATE)] if params else []
        timed += [(codec, "encode", "encode"), (codec, "decode", "decode")]
    return Training(losses, optimizers, tuple(timed))
