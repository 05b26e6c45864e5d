"""Occupancy: a coarse grid over the box for each scene, which shortens rays to the part that is not empty."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

REFRESH_EVERY = 16
"""Rounds between updates of a scene's grid. An update costs a tenth of the scene's part of a step."""
YOUNG = 0.25
"""Share of a phase in which cells only become occupied and none becomes empty, as scenes are not yet learnt."""
SEEN = 0.02
"""Least difference from the background, in a normalised latent, that makes a cell occupied."""


def due_scenes(scene: Int[Tensor, " scene"], rounds: Sequence[int], share: float) -> tuple[Int[Tensor, " due"], bool]:
    """Return those of a step's scenes whose grids are to be updated, and whether cells may only become occupied.

    `rounds` holds the round that each scene is in, `share` how much of the phase is done, in [0, 1].
    """
    return scene[[s for s, round_ in enumerate(rounds) if round_ % REFRESH_EVERY == 0]], share < YOUNG


def occupied_cells(
    density: Float[Tensor, "scene G G G"],
    colour: Float[Tensor, "scene G G G channel"],
    background: Float[Tensor, " channel"],
    seen: float = SEEN,
    reach: int = 1,
) -> Bool[Tensor, "scene G G G"]:
    """Mark the cells that differ visibly from the background, and all cells within `reach` cells of them.

    Densities are per half of the box' longest side; colours and background are in (-1, 1). Density with the colour of
    the background changes no image, so its cells count as empty. A cell is sampled at its centre alone: the margin
    covers surfaces thinner than a cell, and allows `clip_to_occupied` to step by more than a cell.
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
    """Find where each ray, from start to end in [-1, 1]^3, first enters and last leaves occupied cells.

    Returns both as shares of the way in [0, 1], (0, 1) if no cell is occupied, and whether any is. Cells are indexed
    [x, y, z]. Each ray is sampled at G points, so that no block of 2 x 2 x 2 occupied cells is stepped over.
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
