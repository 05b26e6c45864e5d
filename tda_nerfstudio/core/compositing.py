"""Emission and absorption along rays, over a constant background."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def ray_weights(
    density: Float[Tensor, "ray sample"], lengths: Float[Tensor, "ray sample"]
) -> Float[Tensor, "ray sample"]:
    """Return the share of each interval in the ray's light, in [0, 1]: transmittance before it times its opacity.

    Densities are per unit of `lengths`.
    """
    optical = density * lengths
    before = optical.cumsum(-1) - optical
    return torch.exp(-before) * -torch.expm1(-optical)


def composite(
    weights: Float[Tensor, "ray sample"],
    values: Float[Tensor, "ray sample channel"],
    background: Float[Tensor, " channel"],
) -> tuple[Float[Tensor, "ray channel"], Float[Tensor, " ray"]]:
    """Return the sum of values along each ray, over the background, and the ray's opacity in [0, 1]."""
    opacity = weights.sum(-1)
    seen = torch.einsum("rs,rsc->rc", weights, values)
    return seen + (1 - opacity)[:, None] * background, opacity
