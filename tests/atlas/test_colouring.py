"""The colours that views see on the surface of a hull."""

from __future__ import annotations

import torch

from tda_nerfstudio.atlas.carving import voxel_centres
from tda_nerfstudio.atlas.colouring import coloured_surface
from tda_nerfstudio.core.cameras import orbit, pixel_centres, rays

BOX, CELLS, RADIUS, SIZE = torch.tensor([[-1.0] * 3, [1.0] * 3]), 32, 0.6, 64


def painted_ball(views: int):
    """Give the hull of a ball around the origin, and views of it; a point's colour is its place on the ball."""
    view = orbit(views, 3.0, 20.0, 1.2 * SIZE, (SIZE, SIZE), torch.zeros(3))
    origins, directions = rays(view, pixel_centres(SIZE, SIZE).expand(views, -1, -1), 1)
    along = -(origins * directions).sum(-1, keepdim=True)
    nearest = origins + along * directions
    depth = (RADIUS**2 - nearest.square().sum(-1, keepdim=True)).clamp(min=0).sqrt()
    place = (nearest - depth * directions) / RADIUS
    hit = nearest.norm(dim=-1, keepdim=True) < RADIUS
    images = torch.where(hit, (place + 1) / 2, 1.0).transpose(1, 2).reshape(views, 3, SIZE, SIZE)
    hull = (voxel_centres(BOX, CELLS)[0].norm(dim=-1) < RADIUS).view(CELLS, CELLS, CELLS)
    return hull, view, images


def test_a_surface_has_the_colours_that_are_painted_on_it() -> None:
    hull, view, images = painted_ball(8)
    found = coloured_surface(hull, BOX, view, images)
    colour, share, spread = found.seen[:, :3], found.seen[:, 3], found.seen[:, 4]
    place = torch.nn.functional.normalize(voxel_centres(BOX, CELLS)[0][found.cell], dim=-1)
    seen = share > 0.2
    assert seen.float().mean() > 0.6 and (share > 0).float().mean() > 0.8
    error = (colour - place)[seen].abs().mean(1)
    assert error.median() < 0.06 and (error < 0.25).float().mean() > 0.9
    assert spread[seen].median() < 0.1


def test_what_lies_behind_is_not_seen() -> None:
    hull, view, images = painted_ball(1)
    found = coloured_surface(hull, BOX, view[[0]], images[:1])
    centres, towards = voxel_centres(BOX, CELLS)[0][found.cell], view.c2w[0, :, 3] / 3
    facing = centres @ towards / RADIUS
    share = found.seen[:, 3]
    assert share[facing > 0.6].mean() > 0.95 and not share[facing < -0.3].any()
    assert not found.seen[share == 0].any()


def test_a_view_that_looks_away_sees_nothing() -> None:
    hull, view, images = painted_ball(1)
    away = view.c2w.clone()
    away[:, :, [0, 2]] *= -1
    assert not coloured_surface(hull, BOX, type(view)(away, *list(view)[1:]), images).seen.any()
