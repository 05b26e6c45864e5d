"""Latents as pictures that a person can read."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pixel_shuffle


def latent_colours(latents: Float[Tensor, "view channel h w"], sub: int = 1) -> Float[Tensor, "view 3 rows columns"]:
    """Show the first three channels of normalised latents' parts as red, green and blue; fewer are repeated."""
    latents = pixel_shuffle(latents, sub)
    return (latents[:, three_of(latents.shape[1])] + 1) / 2


def three_of(channels: int) -> list[int]:
    """Choose the first three channels; where there are fewer, the last is repeated."""
    return [min(c, channels - 1) for c in range(3)]
