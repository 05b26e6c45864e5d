"""Tensors as pictures a person can read."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def as_picture(name: str, values: Float[Tensor, "height width channel"]) -> UInt8[np.ndarray, "height width 3"]:
    """Turn an output into 8-bit RGB: all in [0, 1] as it is, latents by three channels, depth near = bright."""
    if name == "latent":
        values = values[..., _three(values.shape[-1])]
    elif name == "depth":
        near, far = values.min(), values.max()
        values = ((far - values) / (far - near).clamp(min=1e-6)).expand(-1, -1, 3)
    elif values.shape[-1] == 1:
        values = values.expand(-1, -1, 3)
    return (values.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def latent_colours(latents: Float[Tensor, "view channel h w"], sub: int = 1) -> Float[Tensor, "view 3 rows columns"]:
    """Show the first three channels of normalised latents' parts as red, green and blue; fewer are repeated."""
    latents = torch.nn.functional.pixel_shuffle(latents, sub)
    return (latents[:, _three(latents.shape[1])] + 1) / 2


def _three(channels: int) -> list[int]:
    """Choose the first three channels; where there are fewer, the last is repeated."""
    return [min(c, channels - 1) for c in range(3)]
