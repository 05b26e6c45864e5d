"""The colours that views see on the surface of a hull."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tda_nerfstudio.atlas.carving import outermost, voxel_centres
from tda_nerfstudio.core.surface import Surface
from tda_nerfstudio.core.view import View

_COARSE = 1.5
"""Cells across a pixel of the map that says what is in front, so that they leave no gaps in it."""
_BEHIND = 2.0
"""Cells by which a point may be behind what is in front of it, and still be seen."""


def coloured_surface(
    hull: Bool[Tensor, "R R R"],
    box: Float[Tensor, "2 3"],
    view: View,
    images: Float[Tensor, "view 3 height width"],
) -> Surface:
    """Look at a hull's outermost cells from some views, whose images are in [0, 1]."""
    cell = outermost(hull).flatten().nonzero()[:, 0]
    centres, voxel = voxel_centres(box, len(hull))
    (count, _, height, width), way = images.shape, centres[cell] - view.c2w[:, None, :, 3]
    x, y, z = torch.einsum("vji,vnj->vni", view.c2w[:, :, :3], way).unbind(-1)
    depth = (-z).clamp_min(1e-6)
    u, v = view.cx[:, None] + view.fx[:, None] * x / depth, view.cy[:, None] - view.fy[:, None] * y / depth
    inside = (z < -1e-6) & (u >= 0) & (u < width) & (v >= 0) & (v < height)
    column, row = u.clamp(0, width - 1).long(), v.clamp(0, height - 1).long()
    distance = (view.c2w[:, :, 3] - box.mean(0)).norm(dim=-1)
    side = max(int(distance.median() / (_COARSE * voxel.max() * view.fx.median()) * width), 1)
    place = row * side // height * side + column * side // width
    empty = depth.new_full((count, side**2), torch.inf)
    nearest = empty.scatter_reduce(1, place, depth.masked_fill(~inside, torch.inf), "amin")
    sees = (inside & (depth <= nearest.gather(1, place) + _BEHIND * voxel.max())).float()
    found = images.flatten(2).gather(2, (row * width + column)[:, None].expand(-1, 3, -1)) * 2 - 1
    seen = sees.sum(0).clamp_min(1)
    colour = (found * sees[:, None]).sum(0) / seen
    spread = (((found - colour).square().mean(1) * sees).sum(0) / seen).sqrt()
    return Surface(hull, cell, torch.cat([colour.T, sees.mean(0)[:, None], spread[:, None]], 1))
