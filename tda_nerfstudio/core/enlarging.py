"""Enlarged images whose silhouettes stay sharp: opacity is rendered anew where it changes."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from tda_nerfstudio.core.cameras import pixel_centres, rays
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.rendering import render_rays
from tda_nerfstudio.core.scenes import LatentScenes
from tda_nerfstudio.core.view import View

EDGE = 0.1
"""Difference in opacity between neighbouring pixels from which an edge runs between them."""
MOST = 0.08
"""Share of an image's pixels that may lie at edges: of more, as in fog, those count where opacity changes most."""
WHITE = 1.0
"""What is behind a scene, in images."""


@torch.no_grad()
def enlarge(image: Tensor, height: int, width: int) -> Float[Tensor, "view channel height width"]:
    """Enlarge smooth images."""
    if image.shape[-2:] == (height, width):
        return image
    return interpolate(image, (height, width), mode="bilinear", align_corners=False)


@torch.no_grad()
def edge_opacity(
    scene: tuple[LatentScenes, Tensor, Tensor],
    view: View,
    opacity: Float[Tensor, "view 1 h w"],
    height: int,
    width: int,
    sampling: SamplingConfig,
) -> Float[Tensor, "view 1 height width"]:
    """Enlarge opacities in [0, 1]; where they change, render them with a ray a pixel. `view` is for the full size.

    `scene` is a table, the fused planes [1, 3, R, R, F] of one scene, and its occupied cells [1, G, G, G].
    Each step doubles the size, so that the band along an edge that is rendered gets thinner with it.
    """
    while opacity.shape[-2:] != (height, width):
        rows, columns = min(2 * opacity.shape[-2], height), min(2 * opacity.shape[-1], width)
        sized = view.scaled(columns / width, rows / height)
        change = max_pool2d(opacity, 3, 1, 1) + max_pool2d(-opacity, 3, 1, 1)
        least = change.flatten(1).quantile(1 - MOST, dim=1).clamp(min=EDGE).view(-1, 1, 1, 1)
        edges = interpolate((change > least).to(opacity), (rows, columns), mode="nearest")[:, 0].flatten(1) > 0
        opacity = _rendered_at(scene, sized, enlarge(opacity, rows, columns).clone(), edges, sampling)
    return opacity


def _rendered_at(
    scene: tuple[LatentScenes, Tensor, Tensor],
    view: View,
    opacity: Float[Tensor, "view 1 rows columns"],
    chosen: Bool[Tensor, "view pixel"],
    sampling: SamplingConfig,
) -> Float[Tensor, "view 1 rows columns"]:
    """Replace the opacities of chosen pixels by those of a ray each."""
    scenes, planes, occupied = scene
    places = pixel_centres(opacity.shape[-2], opacity.shape[-1], opacity.device)
    for i in range(len(view)):
        index = chosen[i].nonzero()[:, 0]
        origins, directions = rays(view[i : i + 1], places[index][None], 1.0)
        black = -directions.new_ones(scenes.channels)
        for part in torch.arange(len(index), device=index.device).split(sampling.rays_per_chunk):
            some, slot = directions[0, part][:, None], torch.zeros_like(part)
            out = render_rays(scenes, planes, slot, origins[0, part], some, black, sampling, None, occupied)
            opacity[i].view(-1)[index[part]] = out.opacity
    return opacity


def recomposed(
    image: Float[Tensor, "view 3 h w"],
    opacity: Float[Tensor, "view 1 h w"],
    sharp: Float[Tensor, "view 1 height width"],
) -> Float[Tensor, "view 3 height width"]:
    """Enlarge an image on white by opacities of the full size; colours are weighted by opacity: none gets pale."""
    size = sharp.shape[-2:]
    light = enlarge(image - (1 - opacity) * WHITE, *size)
    return (light * (sharp / enlarge(opacity, *size).clamp(min=1e-3)) + (1 - sharp) * WHITE).clamp(0, 1)


def foreground(image: Float[Tensor, "*view 3 h w"], opacity: Float[Tensor, "*view 1 h w"]) -> Tensor:
    """Take white off an image by its opacity: the colours of what is in front, in [0, 1]; white where nothing is."""
    colour = (image - (1 - opacity) * WHITE) / opacity.clamp(min=1 / 255)
    return torch.where(opacity > 0, colour, WHITE).clamp(0, 1)
