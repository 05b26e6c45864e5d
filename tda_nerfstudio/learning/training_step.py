"""One training step: the losses of a batch, their gradients, and the optimizers that follow these."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import reduce

import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler
from torch.nn import Parameter
from torch.optim import Adam, Optimizer

from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.autoencoder.muon import Muon
from tda_nerfstudio.core.objective import Batch, objective
from tda_nerfstudio.core.phase import Phase
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.row_adam import RowAdam
from tda_nerfstudio.core.scenes import LatentScenes

BETAS = (0.9, 0.99)
"""Of the Adam for base planes and MLP."""


def parameter_groups(scenes: LatentScenes, codec: Autoencoder) -> dict[str, list[Parameter]]:
    """Group all parameters by the names that phases use (`core.phase.GROUPS`). Groups without numbers are left out."""
    groups = {
        "micro": [scenes.micro],
        "weights": [scenes.weights],
        "base": [scenes.base],
        "mlp": [*scenes.hidden.parameters(), *scenes.head.parameters()],
        "starter": list(scenes.starter.parameters()) if scenes.starter is not None else [],
        "encoder": list(codec.encoder.parameters()),
        "decoder": list(codec.decoder.parameters()),
    }
    return {name: params for name, params in groups.items() if sum(param.numel() for param in params)}


def make_optimizer(group: str, params: list[Parameter]) -> Optimizer:
    """Make the optimizer of a parameter group. The phase sets its learning rate before every step."""
    if group in ("micro", "weights"):
        return RowAdam(params)
    return Muon(params) if group in ("starter", "encoder", "decoder") else Adam(params, betas=BETAS, fused=True)


class TrainingStep:
    """Move the parameters of scenes and autoencoder. A gradient scaler that is enabled stands for mixed precision."""

    def __init__(
        self,
        scenes: LatentScenes,
        codec: Autoencoder,
        sampling: SamplingConfig,
        seed: int,
        scaler: GradScaler | None = None,
    ) -> None:
        self.scenes, self.codec, self.sampling, self.seed = scenes, codec, sampling, seed
        self.scaler = scaler or GradScaler(enabled=False)
        self.groups = parameter_groups(scenes, codec)
        self.optimizers = {name: make_optimizer(name, params) for name, params in self.groups.items()}

    def move(self, groups: Collection[str]) -> None:
        """Let gradients reach these parameter groups and no others."""
        for name, params in self.groups.items():
            for param in params:
                param.requires_grad_(name in groups)

    def set_rates(self, rates: Mapping[str, float], share: float) -> None:
        """Set learning rates by parameter group, each times a share."""
        for name, rate in rates.items():
            if name in self.optimizers:
                for group in self.optimizers[name].param_groups:
                    group["lr"] = rate * share

    def take(self, phase: Phase, batch: Batch, step: int) -> dict[str, Tensor]:
        """Take the step; return its weighted losses. Gradients stay until the next one."""
        self.clear()
        losses = self.losses(phase, batch, step)
        self.backward(losses)
        self.update()
        return losses

    def clear(self) -> None:
        """Drop all gradients."""
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()

    def losses(self, phase: Phase, batch: Batch, step: int) -> dict[str, Tensor]:
        """Compute the weighted losses of a batch."""
        with torch.autocast(self.scenes.box.device.type, enabled=self.scaler.is_enabled()):
            return objective(phase, self.scenes, self.codec, batch, self.sampling, self.seed, step)

    def backward(self, losses: Mapping[str, Tensor]) -> None:
        """Compute the gradients of the sum of losses."""
        self.scaler.scale(reduce(torch.add, losses.values())).backward()

    def update(self) -> None:
        """Let every optimizer step whose group has a gradient."""
        for optimizer in self.optimizers.values():
            if any(param.grad is not None for group in optimizer.param_groups for param in group["params"]):
                self.scaler.step(optimizer)
        self.scaler.update()
