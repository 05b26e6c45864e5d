"""Colours of points of a surface, from the views that see them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.core.enlarging import foreground
from tda_nerfstudio.export.survey import Survey, sampled

SOLID = 0.9
"""Opacity of a pixel whose colour counts fully; at half of it, colours are mostly background."""
SHARPNESS = 4
"""Power of the cosine between normal and view by which a view counts: the straightest views are the sharpest."""
FAINT = 1e-4
"""Weight of a view that does not see a point, beside 1 for one that sees it straight: there may be no other."""


@torch.no_grad()
def seen_colours(
    views: Survey, points: Float[Tensor, "point 3"], normals: Float[Tensor, "point 3"], tolerance: float
) -> Float[Tensor, "point 3"]:
    """Average the colours that views show of points, in [0, 1], by angle and visibility.

    A view sees a point if its depth there is not less than the point's distance by more than `tolerance` [world units].
    Colours are those in front of the white background, as far as opacity tells them apart.
    """
    total = points.new_zeros(len(points), 3)
    weights = points.new_zeros(len(points), 1)
    for row in range(len(views)):
        place, distance = views.places(row, points)
        opacity = sampled(views.opacity[row], place, "bilinear")
        colour = sampled(foreground(views.rgb[row], views.opacity[row]), place, "bilinear").T
        depth = sampled(views.depth[row], place, "nearest")[0]
        back = torch.nn.functional.normalize(views.view.c2w[row, :, 3] - points, dim=-1)
        cosine = (back * normals).sum(-1).clamp(min=0)
        seen = (depth > 0) & (depth > distance - tolerance) & (place.abs() < 1).all(1)
        solid = ((opacity[0] - SOLID / 2) / (SOLID / 2)).clamp(0, 1)
        weight = (seen * cosine**SHARPNESS * solid**2 + FAINT * (cosine + 0.01) * (opacity[0] + 0.01))[:, None]
        total += weight * colour
        weights += weight
    return total / weights
