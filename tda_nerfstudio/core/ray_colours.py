"""Colours of single rays: what the decoder makes of a latent where a whole image of it is not at hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate, pixel_shuffle

from tda_nerfstudio.core.cameras import View, grid_size
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.showing import OneScene, decode, march

Colours: TypeAlias = Callable[[Float[Tensor, "ray channel"]], Float[Tensor, "ray 3"]]
"""From normalised latents of points, in (-1, 1), to colours in [0, 1]."""
RIDGE = 1e-3
"""Weight that keeps the fitted map from following noise, in shares of its inputs' variance."""


@torch.no_grad()
def ray_colours(scene: OneScene, view: View, sampling: SamplingConfig) -> Colours:
    """Give a map from latents to colours. Latents that are colours themselves keep them.

    Of others, a quadratic map is fitted to the decoded images of some views, which have a size: what the decoder adds
    from neighbouring pixels is not in it.
    """
    codec = scene[3]
    if getattr(codec, "keeps_pixels", False):
        return lambda latents: ((latents + 1) / 2).clamp(0, 1)
    assert view.width is not None and view.height is not None
    out = march(*scene, view.to(scene[1].device), view.height, view.width, sampling)
    h, w = grid_size(view.height, view.width, codec.f)
    sub = math.isqrt(codec.channels // scene[0].channels)
    parts = pixel_shuffle(out.latent.view(-1, h, w, codec.channels).permute(0, 3, 1, 2), sub)
    images = decode(codec, out, h * codec.f, w * codec.f)
    small = interpolate(images, parts.shape[-2:], mode="area")
    rows, wanted = (part.permute(0, 2, 3, 1).flatten(0, 2).double() for part in (parts, small))
    inputs = _quadratic(rows)
    square = inputs.T @ inputs / len(inputs)
    square += RIDGE * square.diagonal().mean() * torch.eye(len(square), device=square.device, dtype=square.dtype)
    weights = torch.linalg.solve(square, inputs.T @ wanted / len(inputs)).float()
    return lambda latents: (_quadratic(latents) @ weights).clamp(0, 1)


def _quadratic(latents: Float[Tensor, "ray channel"]) -> Float[Tensor, "ray term"]:
    """List 1, the channels, and all products of two."""
    first, second = torch.triu_indices(latents.shape[1], latents.shape[1], device=latents.device)
    return torch.cat([torch.ones_like(latents[:, :1]), latents, latents[:, first] * latents[:, second]], 1)
