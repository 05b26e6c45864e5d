"""Adam for tables of which a step visits only some rows."""

from __future__ import annotations

import torch
from torch.optim import Optimizer


class RowAdam(Optimizer):
    """Adam for tables [N, ...] with sparse gradients: a step reads and changes only the rows in the gradient.

    Every row counts its own steps, so that its first update does not depend on when it comes. Other rows do not change
    by a bit, and the cost of a step does not depend on N. If every step visits all rows, it is Adam. `step` raises
    TypeError for a dense gradient.
    """

    def __init__(self, params, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure=None):  # noqa: D102 (torch's own contract)
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._step_rows(table, group)
        return loss

    def _step_rows(self, table: torch.Tensor, group: dict) -> None:
        grad = table.grad
        if grad is None or not grad.is_sparse:
            raise TypeError("RowAdam needs sparse gradients: look rows up with embedding(..., sparse=True)")
        grad = grad.coalesce()
        rows, grad = grad.indices()[0], grad.values()
        state = self.state[table]
        if not state:
            state["step"] = torch.zeros(len(table), dtype=torch.float32, device=table.device)
            state["exp_avg"] = torch.zeros_like(table)
            state["exp_avg_sq"] = torch.zeros_like(table)
        state["step"] = state["step"].to(table.device)  # torch leaves a loaded "step" where it was saved
        beta1, beta2 = group["betas"]
        age = state["step"][rows].double() + 1
        mean = torch.lerp(state["exp_avg"][rows], grad, 1 - beta1)
        square = torch.lerp(state["exp_avg_sq"][rows], grad * grad, 1 - beta2)
        shape = (-1,) + (1,) * (table.dim() - 1)
        rate = (group["lr"] / (1 - beta1**age)).view(shape).to(table.dtype)
        unbias = (1 - beta2**age).sqrt().view(shape).to(table.dtype)
        table.index_add_(0, rows, -rate * mean / (square.sqrt() / unbias + group["eps"]))
        state["step"].index_copy_(0, rows, age.float())
        state["exp_avg"].index_copy_(0, rows, mean)
        state["exp_avg_sq"].index_copy_(0, rows, square)
