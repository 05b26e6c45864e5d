"""Splats to images in plain torch, tile by tile: the slow twin of gsplat's rasterizer, for machines without CUDA."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tda_nerfstudio.core.view import View
from tda_nerfstudio.export.splats.gaussians import Splats, colours_seen, rotations

BLUR = 0.3
"""Added to the variances of projected splats, in square pixels, as all viewers do."""
NEAREST = 0.01
"""Splats nearer to the camera's plane are not drawn, in world units."""
FAINTEST, MOST, LAST = 1 / 255, 0.999, 1e-4
"""Alphas below are skipped, alphas above cut; light that has less left of it ends."""
GROUPS = 4
"""Tiles of similar numbers of splats that are drawn together."""


class Flat(NamedTuple):
    """Splats as one camera sees them; those that it does not see are left out."""

    index: Int[Tensor, " seen"]
    """Rows of the splats, from near to far."""
    centres: Float[Tensor, "seen 2"]
    """In pixels, where (0.5, 0.5) is the middle of the first."""
    conics: Float[Tensor, "seen 3"]
    """Inverse of the 2 x 2 covariance: its elements a, b, c of [[a, b], [b, c]]."""
    radii: Float[Tensor, " seen"]
    """Three standard deviations along the longer axis, in whole pixels."""
    dimming: Float[Tensor, " seen"]
    """By how much the blur makes splats fainter, if their light is to stay the same."""


def rasterise(
    splats: Splats, view: View, height: int, width: int, tile: int = 4, blur: float = BLUR, antialiased: bool = False
) -> tuple[Float[Tensor, "3 height width"], Float[Tensor, "1 height width"]]:
    """Render one camera: colours over black, and opacity in [0, 1]. Gradients reach every tensor of the splats.

    With `antialiased`, splats dim as they are blurred. A tile of few pixels is fast here; gsplat's has 16, and draws
    splats a little beyond three standard deviations where a tile goes on.
    """
    flat = project(splats, view, height, width, blur)
    directions = torch.nn.functional.normalize(splats.means[flat.index] - view.c2w[0, :, 3], dim=-1)
    colours = colours_seen(splats.harmonics[flat.index], directions)
    opacity = torch.sigmoid(splats.logits[flat.index])
    if antialiased:
        opacity = opacity * flat.dimming
    return _draw(flat, torch.cat([colours, torch.ones_like(colours[:, :1])], 1), opacity, height, width, tile)


def project(splats: Splats, view: View, height: int, width: int, blur: float = BLUR) -> Flat:
    """Project splats into a camera, by a first-order expansion of the perspective about each (EWA splatting)."""
    c2w = view.c2w[0]
    axes = c2w[:, :3] * c2w.new_tensor([1.0, -1.0, -1.0])  # x right, y down, z ahead
    at = (splats.means - c2w[:, 3]) @ axes
    x, y, z = at.unbind(-1)
    safe = z.clamp(min=NEAREST)
    fx, fy, cx, cy = (part[0] for part in (view.fx, view.fy, view.cx, view.cy))
    centres = torch.stack([fx * x / safe + cx, fy * y / safe + cy], -1)
    tx = _bounded(x / safe, fx, cx, width)
    ty = _bounded(y / safe, fy, cy, height)
    zero = torch.zeros_like(z)
    jacobian = torch.stack([fx / safe, zero, -fx * tx / safe, zero, fy / safe, -fy * ty / safe], -1).view(-1, 2, 3)
    own = rotations(splats.quats) * splats.log_scales.exp()[:, None, :]
    half = jacobian @ (axes.T @ own)
    spread = half @ half.transpose(1, 2)
    a, b, c = spread[:, 0, 0], spread[:, 0, 1], spread[:, 1, 1]
    sharp, a, c = a * c - b * b, a + blur, c + blur
    determinant = (a * c - b * b).clamp(min=1e-10)
    conics = torch.stack([c, -b, a], -1) / determinant[:, None]
    with torch.no_grad():
        middle = (a + c) / 2
        radii = (3 * (middle + (middle**2 - determinant).clamp(min=0.01).sqrt()).sqrt()).ceil()
        inside = (centres + radii[:, None] > 0).all(1) & (centres[:, 0] - radii < width)
        seen = ((z > NEAREST) & inside & (centres[:, 1] - radii < height)).nonzero()[:, 0]
        seen = seen[z[seen].argsort(stable=True)]
    dimming = (sharp[seen] / determinant[seen]).clamp(min=1e-10).sqrt()
    return Flat(seen, centres[seen], conics[seen], radii[seen], dimming)


def _bounded(tangent: Tensor, focal: Tensor, middle: Tensor, size: int) -> Tensor:
    """Keep the point of expansion near the image: beyond, the expansion is wild."""
    margin = 0.15 * size / focal
    return torch.minimum(torch.maximum(tangent, -middle / focal - margin), (size - middle) / focal + margin)


def _pairs(flat: Flat, rows: int, columns: int, tile: int) -> tuple[Tensor, Tensor]:
    """List the tiles that each splat's box touches: (tile, splat) by tile, in each from near to far."""
    low = ((flat.centres.detach() - flat.radii[:, None]) / tile).floor().long().clamp(min=0)
    high = ((flat.centres.detach() + flat.radii[:, None]) / tile).ceil().long()
    high = torch.minimum(high, high.new_tensor([columns, rows]))
    wide, tall = (high - low).clamp(min=0).unbind(-1)
    counts = wide * tall
    splat = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    nth = torch.arange(len(splat), device=splat.device) - (counts.cumsum(0) - counts)[splat]
    across = wide[splat].clamp(min=1)
    place = (low[splat, 1] + nth // across) * columns + low[splat, 0] + nth % across
    order = place.argsort(stable=True)
    return place[order], splat[order]


def _draw(
    flat: Flat,
    values: Float[Tensor, "seen 4"],
    opacity: Float[Tensor, " seen"],
    height: int,
    width: int,
    tile: int,
) -> tuple[Float[Tensor, "3 height width"], Float[Tensor, "1 height width"]]:
    """Blend splats from near to far in every pixel of every tile that they touch."""
    rows, columns = math.ceil(height / tile), math.ceil(width / tile)
    place, splat = _pairs(flat, rows, columns, tile)
    counts = torch.bincount(place, minlength=rows * columns)
    starts = counts.cumsum(0) - counts
    busy = counts.nonzero()[:, 0]
    busy = busy[counts[busy].argsort()]
    inside = torch.arange(tile, device=values.device) + 0.5
    corner = torch.stack(torch.meshgrid(inside, inside, indexing="xy"), -1).view(-1, 2)
    image = values.new_zeros(rows * columns, tile * tile, 4)
    drawn = []
    for some in busy.chunk(GROUPS) if len(busy) else ():
        most = int(counts[some[-1]])
        nth = torch.arange(most, device=some.device)
        there = nth < counts[some, None]
        index = splat[(starts[some, None] + nth).clamp(max=len(splat) - 1)]
        origin = torch.stack([some % columns, some // columns], -1) * tile
        offset = origin[:, None, None] + corner - flat.centres[index][:, :, None]
        dx, dy = offset.unbind(-1)
        a, b, c = flat.conics[index][:, :, None].unbind(-1)
        power = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
        alpha = (opacity[index] * there)[:, :, None] * torch.exp(-power)
        alpha = torch.where(alpha < FAINTEST, 0.0, alpha.clamp(max=MOST))
        left = torch.cumsum(torch.log1p(-alpha), 1)
        before = torch.cat([torch.zeros_like(left[:, :1]), left[:, :-1]], 1).exp()
        weights = alpha * before * (left.detach() > math.log(LAST))
        drawn.append(torch.einsum("tkp,tkc->tpc", weights, values[index]))
    if drawn:
        image = image.index_copy(0, busy, torch.cat(drawn))
    image = image.view(rows, columns, tile, tile, 4).permute(4, 0, 2, 1, 3).reshape(4, rows * tile, columns * tile)
    image = image[:, :height, :width]
    return image[:3], image[3:]
