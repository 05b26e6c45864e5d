"""Colours for latents that mean the same in every scene and every view."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pixel_shuffle

from tda_nerfstudio.core import triplane
from tda_nerfstudio.core.objective import Codec
from tda_nerfstudio.core.scenes import LatentScenes

SPREAD = 2.0
"""Standard deviations on each side of the mean that a colour channel covers."""


class Palette(NamedTuple):
    """An affine map from normalised latents of a point to red, green and blue."""

    mean: Float[Tensor, " channel"]
    axes: Float[Tensor, "channel 3"]

    def __call__(self, latents: Float[Tensor, "*point channel"]) -> Float[Tensor, "*point 3"]:
        """Map latents to colours, nominally in [0, 1] but not clamped: mixed latents are mixed colours."""
        return (latents - self.mean) @ self.axes + 0.5


def plain_palette(channels: int, like: Tensor) -> Palette:
    """Show the first three channels as they are, -1 as black and 1 as white; of fewer, the last one is repeated."""
    axes = like.new_zeros(channels, 3)
    for colour in range(3):
        axes[min(colour, channels - 1), colour] = 0.5
    return Palette(like.new_zeros(channels), axes)


def plain_colours(latents: Float[Tensor, "view channel h w"], sub: int = 1) -> Float[Tensor, "view 3 rows columns"]:
    """Show normalised latents' parts in their first three channels."""
    parts = pixel_shuffle(latents, sub)
    return plain_palette(parts.shape[1], parts)(parts.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def one_channel(channels: int, chosen: int, like: Tensor) -> Palette:
    """Show one channel in grey, -1 as black and 1 as white."""
    axes = like.new_zeros(channels, 3)
    axes[chosen] = 0.5
    return Palette(like.new_zeros(channels), axes)


def space_palette(scenes: LatentScenes, codec: Codec, weights: Float[Tensor, " base"]) -> Palette:
    """Choose the colours of a space: latents that are colours themselves are shown as they are."""
    plain = getattr(codec, "keeps_pixels", False)
    return plain_palette(scenes.channels, scenes.box) if plain else shared_palette(scenes, weights)


@torch.no_grad()
def shared_palette(scenes: LatentScenes, weights: Float[Tensor, " base"]) -> Palette:
    """Find the three principal axes of the latents that the mean scene shows, by its weights of base planes.

    They follow from the shared parts alone, so that scenes of a space have one palette.
    """
    r = scenes.config.resolution
    micro = scenes.box.new_zeros(1, 3, r, r, scenes.config.micro_channels)
    planes = triplane.fuse(micro, weights.to(micro)[None], scenes.base)[0]
    density, colour = scenes.cells(planes)
    share = 1 - torch.exp(-density.flatten() * 2 / scenes.config.grid)
    latents = 2 * colour.flatten(0, 2) - 1
    if latents.shape[1] < 3 or not share.sum() > 0:
        return plain_palette(latents.shape[1], latents)
    share = share / share.sum()
    mean = share @ latents
    offset = latents - mean
    spread, axes = torch.linalg.eigh((offset * share[:, None]).T @ offset)
    axes, spread = axes[:, -3:].flip(1), spread[-3:].flip(0)
    axes = axes * axes.gather(0, axes.abs().argmax(0)[None]).sign()  # else a sign would be chance
    return Palette(mean, axes / (2 * SPREAD * spread.clamp(min=1e-6).sqrt()))
