"""The optimizer Muon for convolution kernels: autoencoders learn in a fraction of the steps that Adam takes."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.optim import Optimizer

from tda_nerfstudio.autoencoder.base import reduced_precision

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the odd polynomial of degree 5 that moves singular values towards 1 (Jordan et al. 2024, "Muon")."""
ROUNDS = 5
"""Times that the polynomial is applied."""


class Muon(Optimizer):
    """Move kernels along the orthogonal matrix nearest to their gradient (Jordan et al. 2024), and vectors by Adam.

    A kernel [out, in, ...] is used as a matrix [out, in * ...]. The root mean square of its update is just below
    0.2 lr, close to that of Adam. It does not depend on the size of the gradient, so that nothing needs clipping.
    """

    def __init__(
        self,
        params,
        lr: float = 4e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure=None):  # noqa: D102 (torch's own contract)
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    (self._step_kernel if param.dim() > 1 else self._step_vector)(param, param.grad, group)
        return loss

    def _step_kernel(self, kernel: Tensor, grad: Tensor, group: dict) -> None:
        state = self.state[kernel]
        if not state:
            state["momentum"] = torch.zeros_like(kernel)
        state["momentum"].lerp_(grad, 1 - group["momentum"])
        ahead = torch.lerp(grad, state["momentum"], group["momentum"]).flatten(1)
        size = 0.2 * math.sqrt(max(ahead.shape))
        kernel.add_(orthogonalise(ahead).view(kernel.shape), alpha=-group["lr"] * size)

    def _step_vector(self, vector: Tensor, grad: Tensor, group: dict) -> None:
        state, (beta1, beta2) = self.state[vector], group["betas"]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(vector), torch.zeros_like(vector)
        state["step"] += 1
        age = float(state["step"])
        state["exp_avg"].lerp_(grad, 1 - beta1)
        state["exp_avg_sq"].lerp_(grad * grad, 1 - beta2)
        spread = (state["exp_avg_sq"] / (1 - beta2**age)).sqrt_().add_(group["eps"])
        vector.addcdiv_(state["exp_avg"], spread, value=-group["lr"] / (1 - beta1**age))


def orthogonalise(matrix: Tensor) -> Tensor:
    """Move the singular values of a matrix [rows, columns] to about 1 (0.7 to 1.2), keeping its singular vectors.

    Values below a thousandth of the matrix' norm stay small.
    """
    a, b, c = COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / wide.norm().clamp(min=1e-12)
    with reduced_precision(x, wanted=True):
        for _ in range(ROUNDS):
            gram = x @ x.T
            x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    x = x.to(matrix.dtype)
    return x if matrix.shape[0] <= matrix.shape[1] else x.T
