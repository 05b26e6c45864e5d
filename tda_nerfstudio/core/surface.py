"""What views show of a scene before it is learnt: the cells of its hull, and the colours of its surface."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import interpolate

from tda_nerfstudio.core.triplane import AXES

LAYERS = 16
"""Layers of the box, one behind the other, that a plane looks through."""
CLUES = 7
"""What is known of a plane's cell in one layer: how much is filled, how much is surface, and what `Surface` sees."""


class Surface(NamedTuple):
    """A scene's hull, and what views see of its outermost cells."""

    hull: Bool[Tensor, "R R R"]
    """Indexed [x, y, z]."""
    cell: Int[Tensor, " cell"]
    """The outermost cells, as indices into the flattened hull."""
    seen: Float[Tensor, "cell 5"]
    """Of each: the mean colour over the views that see it, in [-1, 1] and 0 where none does; the share of views that
    do; and the standard deviation of their colours, which is large where the object lies deeper than its hull."""

    def to(self, device: torch.device) -> Surface:
        """Copy it to a device."""
        return Surface(*(part.to(device) for part in self))


def columns(surface: Surface, resolution: int) -> Float[Tensor, "3 clue R R"]:
    """Project a surface to the three planes, in CLUES x LAYERS channels: means over the cells behind each other."""
    cells = len(surface.hull)
    layer = torch.arange(cells, device=surface.hull.device) * LAYERS // cells
    depth = torch.bincount(layer, minlength=LAYERS).clamp_min(1)
    place = torch.stack([surface.cell // cells**2, surface.cell // cells % cells, surface.cell % cells])
    known = torch.cat([torch.ones_like(surface.seen[:, :1]), surface.seen], 1)
    planes = []
    for across, down in AXES:
        through = 3 - across - down
        index = (layer[place[through]] * cells + place[down]) * cells + place[across]
        sums = known.new_zeros(LAYERS * cells**2, known.shape[1]).index_add_(0, index, known)
        means = torch.cat([sums[:, :1], sums[:, 1:] / sums[:, :1].clamp_min(1)], 1).T.reshape(-1, LAYERS, cells, cells)
        filled = known.new_zeros(LAYERS, cells, cells)
        filled.index_add_(0, layer, surface.hull.permute(through, down, across).to(known))
        planes.append(torch.cat([filled[None] / depth[:, None, None], means[:1] / depth[:, None, None], means[1:]]))
    found = torch.stack(planes).flatten(1, 2)
    return found if cells == resolution else interpolate(found, (resolution, resolution), mode="bilinear")
