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
MOST = 0.15
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
    scenes: LatentScenes,
    planes: Float[Tensor, "1 3 R R F"],
    occupied: Bool[Tensor, "1 G G G"],
    view: View,
    opacity: Float[Tensor, "view 1 h w"],
    height: int,
    width: int,
    sampling: SamplingConfig,
) -> Float[Tensor, "view 1 height width"]:
    """Enlarge opacities in [0, 1]; where they change, render them with a ray a pixel. `view` is for the full size."""
    full = enlarge(opacity, height, width).clone()
    change = max_pool2d(opacity, 3, 1, 1) + max_pool2d(-opacity, 3, 1, 1)
    least = change.flatten(1).quantile(1 - MOST, dim=1).clamp(min=EDGE).view(-1, 1, 1, 1)
    edges = interpolate((change > least).to(opacity), (height, width), mode="nearest")[:, 0].flatten(1) > 0
    places = pixel_centres(height, width, opacity.device)
    for i in range(len(view)):
        index = edges[i].nonzero()[:, 0]
        origins, directions = rays(view[i : i + 1], places[index][None], 1.0)
        black = -directions.new_ones(scenes.channels)
        for rows in torch.arange(len(index), device=index.device).split(sampling.rays_per_chunk):
            some = directions[0, rows][:, None]
            slot = torch.zeros_like(rows)
            out = render_rays(scenes, planes, slot, origins[0, rows], some, black, sampling, None, occupied)
            full[i].view(-1)[index[rows]] = out.opacity
    return full


def recomposed(
    image: Float[Tensor, "view 3 h w"],
    opacity: Float[Tensor, "view 1 h w"],
    sharp: Float[Tensor, "view 1 height width"],
) -> Float[Tensor, "view 3 height width"]:
    """Enlarge an image on white by opacities of the full size; colours are weighted by opacity: none gets pale."""
    size = sharp.shape[-2:]
    light = enlarge(image - (1 - opacity) * WHITE, *size)
    return (light * (sharp / enlarge(opacity, *size).clamp(min=1e-3)) + (1 - sharp) * WHITE).clamp(0, 1)
