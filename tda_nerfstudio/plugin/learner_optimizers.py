"""The learner's optimizers and gradients in the form that nerfstudio's trainer expects."""

from __future__ import annotations

import torch
from nerfstudio.engine.optimizers import Optimizers
from torch import Tensor

from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline


class LearnerOptimizers(Optimizers):
    """Stand in for nerfstudio's optimizers: those of the pipeline's learner, which changes with the wave."""

    def __init__(self, pipeline: TdaPipeline) -> None:
        self.pipeline = pipeline
        super().__init__({}, {})

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimizers by parameter group."""
        return self.pipeline.learner.training.optimizers

    @optimizers.setter
    def optimizers(self, none: dict) -> None:
        """Ignore what nerfstudio's constructor sets."""


def gradient_norms(model: torch.nn.Module) -> dict[str, Tensor]:
    """Compute the norm of each parameter's gradient, if it has one, and their sum, by nerfstudio's names for them."""
    norms = {f"Gradients/{name}": p.grad.norm() for name, p in model.named_parameters() if p.grad is not None}
    return norms | {"Gradients/Total": torch.stack([*norms.values()]).sum()}
