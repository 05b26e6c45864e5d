"""Where scenes are empty: a coarse grid over the box, a row a scene, that shortens rays to what they may meet."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

REFRESH_EVERY = 8
"""Rounds between looks at where scenes are empty: a look costs a tenth of a scene's part of a step."""
YOUNG = 0.25
"""Share of a phase in which scenes may only claim more space: what they look like is not known yet."""
SEEN = 0.02
"""Change of a normalised latent that a cell makes before the background, from which on it counts as occupied."""


def refresh_due(round_: int, share: float) -> bool | None:
    """Say whether a round, `share` of its phase done, looks again where scenes are empty.

    None: not now. True: they may only claim more space. False: they also give up what they do not fill.
    """
    return share < YOUNG if round_ % REFRESH_EVERY == 0 else None


def due_scenes(scene: Int[Tensor, " scene"], rounds: Sequence[int], share: float) -> tuple[Int[Tensor, " due"], bool]:
    """Choose a step's scenes that are looked at again, each by its own round, and say whether they may only grow."""
    due = [s for s, round_ in enumerate(rounds) if refresh_due(round_, share) is not None]
    return scene[due], share < YOUNG


def occupied_cells(
    density: Float[Tensor, "scene G G G"],
    colour: Float[Tensor, "scene G G G channel"],
    background: Float[Tensor, " channel"],
    seen: float = SEEN,
    reach: int = 1,
) -> Bool[Tensor, "scene G G G"]:
    """Mark the cells that show, and those within `reach` of them.

    Densities are per half of the box' longest side, colours in (-1, 1) like the background. What has the background's
    colour is fog that no loss minds and no image shows. A cell is known at its centre alone: the margin keeps what is
    thinner than a cell, and lets `clip_to_occupied` step by more than one.
    """
    opacity = -torch.expm1(-density * (2 / density.shape[-1]))
    visible = opacity * (colour - background).abs().amax(-1) > seen
    size = 2 * reach + 1
    return torch.nn.functional.max_pool3d(visible[:, None].float(), size, stride=1, padding=reach)[:, 0] > 0


def clip_to_occupied(
    occupied: Bool[Tensor, "scene G G G"],
    slot: Int[Tensor, " ray"],
    start: Float[Tensor, "ray 3"],
    end: Float[Tensor, "ray 3"],
) -> tuple[Float[Tensor, " ray"], Float[Tensor, " ray"], Bool[Tensor, " ray"]]:
    """Find the first and the last share of each ray, from start to end in [-1, 1]^3, that lies in occupied cells.

    Cells are indexed [x, y, z]. Looks once a cell of an axis-parallel ray, so that a block of two cells is never
    stepped over. Returns (0, 1) where nothing is occupied, and whether anything is.
    """
    grid = occupied.shape[-1]
    share = (torch.arange(grid, device=start.device, dtype=start.dtype) + 0.5) / grid
    first_cell, way = (start + 1) * (grid / 2), (end - start) * (grid / 2)
    index = slot[:, None]
    for axis in range(3):
        cell = torch.addcmul(first_cell[:, axis, None], way[:, axis, None], share[None])
        index = index * grid + cell.clamp_(0, grid - 1).long()
    met = occupied.view(-1)[index]
    any_met = met.any(1)
    counts = met.to(torch.uint8)
    first = torch.where(any_met, counts.argmax(1), 0)
    last = torch.where(any_met, grid - counts.flip(1).argmax(1), grid)
    return first.to(start.dtype) / grid, last.to(start.dtype) / grid, any_met
