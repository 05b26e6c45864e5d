"""Tri-Planes: fuse micro and macro planes, and sample the three planes.

A plane is [height, width, channel], so that a look-up reads contiguous memory. Plane 0 spans (x, y), plane 1 (x, z),
plane 2 (y, z); the first axis of each pair runs along the width.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

AXES = ((0, 1), (0, 2), (1, 2))


def fuse(
    micro: Float[Tensor, "scene 3 R R mic"], weights: Float[Tensor, "scene base"], base: Float[Tensor, "base 3 R R mac"]
) -> Float[Tensor, "scene 3 R R F"]:
    """Concatenate each scene's micro planes with its weighted sum of base planes (Eq. of T_s, Sec. 3 of 2403.11678)."""
    if base.shape[0] == 0 or base.shape[-1] == 0:
        return micro
    macro = (weights @ base.flatten(1)).view(-1, *base.shape[1:])
    return torch.cat([micro, macro], -1)


def corners(
    points: Float[Tensor, "point 3"], slot: Int[Tensor, " point"], resolution: int
) -> tuple[Int[Tensor, "point 12"], Float[Tensor, "point 12"]]:
    """Find the four cells around a point on each plane, as rows of [scene * 3 * R * R], and their bilinear weights.

    Points are in [-1, 1] inside the box; outside, they get the value at its border. The centres of the outermost cells
    are half a cell inside the box. `slot` is each point's scene.
    """
    cell = ((points + 1) * (resolution / 2) - 0.5).clamp(0, resolution - 1)
    low = cell.floor().clamp(max=resolution - 2)
    high_share = cell - low
    low_share = 1 - high_share
    row = low.long()
    index, weight = [], []
    for plane, (u, v) in enumerate(AXES):
        first = ((slot * 3 + plane) * resolution + row[:, v]) * resolution + row[:, u]
        index += [first, first + 1, first + resolution, first + resolution + 1]
        weight += [
            low_share[:, u] * low_share[:, v],
            high_share[:, u] * low_share[:, v],
            low_share[:, u] * high_share[:, v],
            high_share[:, u] * high_share[:, v],
        ]
    return torch.stack(index, -1), torch.stack(weight, -1)


class _WeightedRows(torch.autograd.Function):
    """Weighted sums of a table's rows. The gradient is summed row by row in sorted order, which needs no atomics."""

    @staticmethod
    def forward(ctx, table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(index, weight)
        ctx.rows = table.shape[0]
        return torch.nn.functional.embedding_bag(index, table, per_sample_weights=weight, mode="sum")

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None, None]:
        index, weight = ctx.saved_tensors
        flat = index.reshape(-1)
        order = flat.argsort(stable=True)
        counts = torch.bincount(flat, minlength=ctx.rows)
        starts = counts.cumsum(0) - counts
        table_grad = torch.nn.functional.embedding_bag(
            order // index.shape[1],
            grads[0].contiguous(),
            starts,
            per_sample_weights=weight.reshape(-1)[order],
            mode="sum",
        )
        return table_grad, None, None


def sample(
    planes: Float[Tensor, "scene 3 R R F"], points: Float[Tensor, "point 3"], slot: Int[Tensor, " point"]
) -> Float[Tensor, "point F"]:
    """Return the sum of the bilinear samples of the three planes, at points in [-1, 1] of the box.

    `slot` is each point's scene among `planes`. Gradients reach the planes alone, since cameras are not learnt.
    """
    index, weight = corners(points, slot, planes.shape[2])
    return _WeightedRows.apply(planes.reshape(-1, planes.shape[-1]), index, weight)  # type: ignore[return-value]
