"""The learner's optimizers and gradients, as nerfstudio's trainer asks for them."""

from __future__ import annotations

import torch
from nerfstudio.engine.optimizers import Optimizers
from torch import Tensor

from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline


class LearnerOptimizers(Optimizers):
    """The optimizers of whatever learner is at work, where nerfstudio looks for its own."""

    def __init__(self, pipeline: TdaPipeline) -> None:
        self.pipeline = pipeline
        super().__init__({}, {})

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """By parameter group."""
        return self.pipeline.learner.training.optimizers

    @optimizers.setter
    def optimizers(self, none: dict) -> None:
        """Have none of its own."""


def gradient_norms(model: torch.nn.Module) -> dict[str, Tensor]:
    """Measure the norm of every parameter's gradient, and the sum of them."""
    norms = {f"Gradients/{name}": p.grad.norm() for name, p in model.named_parameters() if p.grad is not None}
    return norms | {"Gradients/Total": torch.stack([*norms.values()]).sum()}
