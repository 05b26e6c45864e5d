"""What a plane looks through: the layers of a hull, and the colours of its surface."""

from __future__ import annotations

import torch

from tda_nerfstudio.core.surface import CLUES, LAYERS, Surface, columns
from tda_nerfstudio.core.triplane import AXES


def one_cell(at: tuple[int, int, int], cells: int = 32) -> Surface:
    hull = torch.zeros(cells, cells, cells, dtype=torch.bool)
    hull[at] = True
    return Surface(hull, hull.flatten().nonzero()[:, 0], torch.tensor([[0.5, -0.25, 1.0, 0.75, 0.1]]))


def test_a_cell_is_found_on_each_plane_in_its_layer() -> None:
    at = 3, 12, 31
    found = columns(one_cell(at), 32).view(3, CLUES, LAYERS, 32, 32)
    for plane, (across, down) in enumerate(AXES):
        layer = at[3 - across - down] // 2
        here = found[plane, :, layer, at[down], at[across]]
        torch.testing.assert_close(here, torch.tensor([0.5, 0.5, 0.5, -0.25, 1.0, 0.75, 0.1]))
        assert found[plane].count_nonzero() == CLUES


def test_cells_behind_each_other_are_averaged() -> None:
    one, other = one_cell((4, 5, 6)), one_cell((4, 5, 7))
    both = Surface(one.hull | other.hull, torch.cat([one.cell, other.cell]), torch.cat([one.seen, -one.seen]))
    found = columns(both, 32).view(3, CLUES, LAYERS, 32, 32)
    torch.testing.assert_close(found[0, :, 3, 5, 4], torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]))
    torch.testing.assert_close(found[1, :2, 2, [6, 7], 4], torch.full((2, 2), 0.5))


def test_nothing_known_is_nothing_seen_at_any_resolution() -> None:
    empty = Surface(torch.zeros(20, 20, 20, dtype=torch.bool), torch.zeros(0, dtype=torch.long), torch.zeros(0, 5))
    for resolution in (16, 20, 64):
        found = columns(empty, resolution)
        assert found.shape == (3, CLUES * LAYERS, resolution, resolution) and not found.any()
