"""Visual hulls carved by silhouettes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tda_nerfstudio.atlas.carving import Cut, cut_of, outermost, refined_hull, visual_hull, voxel_centres
from tda_nerfstudio.atlas.images import Picture
from tda_nerfstudio.atlas.posed import PosedImages, Scene
from tda_nerfstudio.core.cameras import orbit, pixel_centres, rays
from tda_nerfstudio.core.view import View

BOX = torch.tensor([[-1.0, -0.8, -0.9], [1.0, 1.2, 0.7]])
CENTRE, RADIUS = torch.tensor([0.2, 0.1, -0.2]), 0.4


def sphere_cuts(size: int, focal: float = 1.0, elevations=(-50.0, 0.0, 40.0)) -> list[Cut]:
    """Cut by views all around of a sphere; the focal length is in image widths."""
    cuts = []
    for elevation in elevations:
        view = orbit(6, 3.0, elevation, focal * size, (size, size), torch.zeros(3))
        origins, directions = rays(view, pixel_centres(size, size).expand(6, -1, -1), 1)
        aside = torch.linalg.cross(CENTRE - origins, directions).norm(dim=-1)
        masks = (aside < RADIUS).view(6, size, size)
        scene = scene_of(view, size)
        cuts += [cut_of(scene, number, masks[number]) for number in range(6)]
    return cuts


def scene_of(view: View, size: int) -> Scene:
    values = {name: getattr(view, name) for name in ("c2w", "fx", "fy", "cx", "cy")}
    pictures = tuple(Picture(Path(f"{number}.png")) for number in range(len(view)))
    images = PosedImages(**values, pictures=pictures, width=size, height=size)
    return Scene("sphere", images, images[:0])


def distances(cells: int) -> torch.Tensor:
    centres, _ = voxel_centres(BOX, cells)
    return (centres - CENTRE).norm(dim=-1).view(cells, cells, cells)


@pytest.mark.parametrize("size", [64, 300])
def test_the_hull_of_a_sphere_contains_it_and_little_else(size):
    cells = 24
    cuts = sphere_cuts(size)
    assert all(cut.whole and max(cut.table.shape) <= 257 for cut in cuts)
    hull, away = visual_hull(cuts, BOX, cells), distances(cells)
    assert hull.shape == (cells,) * 3 and hull.dtype == torch.bool
    assert hull[away < RADIUS].all()
    corners = hull[:: cells - 1, :: cells - 1, :: cells - 1]
    assert corners.numel() == 8 and not corners.any()
    assert away[hull].max() < 1.5 * RADIUS


def test_the_hull_is_indexed_x_y_z():
    hull = visual_hull(sphere_cuts(64), BOX, 24)
    centres = voxel_centres(BOX, 24)[0].view(24, 24, 24, 3)
    torch.testing.assert_close(centres[hull].mean(0), CENTRE, rtol=0, atol=0.03)


def test_every_view_carves_and_none_adds():
    cuts = sphere_cuts(64)
    before = torch.ones(16, 16, 16, dtype=torch.bool)
    assert torch.equal(visual_hull([], BOX, 16), before)
    for count in (1, 2, 6, 18):
        hull = visual_hull(cuts[:count], BOX, 16)
        assert (before | ~hull).all() and hull.sum() < before.sum()
        before = hull


def test_a_vote_forgives_views_that_take_the_object_for_background():
    cuts = sphere_cuts(64)
    blind = [replace(cut, table=torch.zeros_like(cut.table)) for cut in cuts[:8]]
    hull, away = visual_hull(blind + cuts[8:], BOX, 16, enough=9), distances(16)
    assert hull[away < RADIUS].all() and not visual_hull(blind + cuts[8:], BOX, 16).any()
    assert hull.float().mean() < 0.5


def test_what_a_close_view_cuts_off_is_kept():
    """A silhouette that touches the border says nothing about what is out of sight."""
    close = sphere_cuts(64, focal=5.0)
    assert not any(cut.whole for cut in close)
    hull, away = visual_hull(close, BOX, 16), distances(16)
    assert hull[away < RADIUS].all()
    assert hull.sum() > visual_hull(sphere_cuts(64), BOX, 16).sum()


def test_nothing_is_left_where_silhouettes_contradict_each_other():
    view = orbit(2, 3.0, 0.0, 64.0, (64, 64), torch.zeros(3))
    masks = torch.zeros(2, 64, 64, dtype=torch.bool)
    masks[0, 4:8, 30:34] = masks[1, 56:60, 30:34] = True
    scene = scene_of(view, 64)
    assert not visual_hull([cut_of(scene, number, masks[number]) for number in range(2)], BOX, 16).any()


def test_a_hull_is_refined_to_what_carving_at_once_gives():
    cuts = sphere_cuts(64)
    coarse, at_once = visual_hull(cuts, BOX, 16), visual_hull(cuts, BOX, 32)
    fine = refined_hull(coarse, cuts, BOX)
    assert fine.shape == (32,) * 3 and not (at_once & ~fine).any()
    assert (fine & ~at_once).sum() < 0.02 * at_once.sum()
    again = refined_hull(coarse, [*cuts, replace(cuts[0], table=torch.zeros_like(cuts[0].table))], BOX, enough=2)
    assert not (at_once & ~again).any()


def test_the_outermost_cells_of_a_block_are_its_shell():
    block = torch.zeros(6, 6, 6, dtype=torch.bool)
    block[:4, 1:5, 1:5] = True
    inner = torch.zeros_like(block)
    inner[1:3, 2:4, 2:4] = True
    assert torch.equal(outermost(block), block & ~inner)
