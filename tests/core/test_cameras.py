"""Rays of latent pixels, the box they cross, and orbits."""

from __future__ import annotations

import math

import pytest
import torch

from tda_nerfstudio.core.cameras import (
    View,
    clip_to_box,
    footprint,
    grid_size,
    orbit,
    parts_shape,
    pixel_centres,
    rays,
)

BOX = torch.tensor([[-1.0, -2.0, -3.0], [1.0, 2.0, 3.0]])


def some_views(count: int = 3) -> View:
    """Random rigid poses; every intrinsic differs from every other, the principal point is off-centre."""
    generator = torch.Generator().manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(count, 3, 3, generator=generator)).Q
    rotation = rotation * torch.linalg.det(rotation)[:, None, None]
    c2w = torch.cat([rotation, torch.randn(count, 3, 1, generator=generator)], -1)
    shift = torch.arange(count)
    return View(c2w, 111.3 + shift, 97.7 + shift, 41.9 + shift, 52.3 - shift)


@pytest.mark.parametrize("f", [1, 8])
def test_rays_are_nerfstudios_own_at_one_fth_of_the_intrinsics(f):
    cameras = pytest.importorskip("nerfstudio.cameras.cameras")
    view = some_views()
    h, w = grid_size(90, 100, f)
    intrinsics = {name: getattr(view, name) / f for name in ("fx", "fy", "cx", "cy")}
    theirs = cameras.Cameras(camera_to_worlds=view.c2w, width=w, height=h, **intrinsics)
    origins, directions = rays(view, pixel_centres(h, w).expand(3, -1, -1), f)
    for index in range(3):
        bundle = theirs.generate_rays(camera_indices=index)
        torch.testing.assert_close(origins[index], bundle.origins.reshape(-1, 3), rtol=0, atol=0)
        torch.testing.assert_close(directions[index], bundle.directions.reshape(-1, 3), rtol=0, atol=1e-6)


def test_a_latent_position_is_f_image_pixels():
    view, positions = some_views(), torch.tensor([[0.5, 0.5], [3.25, 1.75], [0.0, 7.0]])
    coarse, fine = rays(view, positions.expand(3, -1, -1), 8), rays(view, 8 * positions.expand(3, -1, -1), 1)
    torch.testing.assert_close(coarse, fine, rtol=0, atol=0)


def test_rays_by_hand():
    view = View(torch.eye(3, 4)[None], *(torch.tensor([value]) for value in (8.0, 4.0, 16.0, 8.0)))
    origins, directions = rays(view, torch.tensor([[[4.0, 2.0], [6.0, 2.0], [4.0, 3.0]]]), 4)
    half = math.sqrt(0.5)
    expected = torch.tensor([[0.0, 0.0, -1.0], [half, 0.0, -half], [0.0, -half, -half]])  # centre, right, down
    torch.testing.assert_close(directions[0], expected)
    assert (origins == 0).all()


def test_pixel_centres_run_along_rows_first():
    expected = [[0.5, 0.5], [1.5, 0.5], [2.5, 0.5], [0.5, 1.5], [1.5, 1.5], [2.5, 1.5]]
    assert pixel_centres(2, 3).tolist() == expected


def test_footprint_spreads_evenly_over_a_pixel():
    assert footprint(1).tolist() == [[0.0, 0.0]]
    assert footprint(2).tolist() == [[-0.25, -0.25], [0.25, -0.25], [-0.25, 0.25], [0.25, 0.25]]
    third = footprint(3)
    torch.testing.assert_close(third[:3, 0], torch.tensor([-1 / 3, 0.0, 1 / 3]))
    torch.testing.assert_close(third.mean(0), torch.zeros(2))


@pytest.mark.parametrize(
    ("height", "width", "f", "grid"),
    [(128, 64, 8, (16, 8)), (129, 65, 8, (17, 9)), (7, 8, 8, (1, 1)), (5, 3, 1, (5, 3))],
)
def test_grid_size_rounds_up(height, width, f, grid):
    assert grid_size(height, width, f) == grid


def test_parts_cover_whole_latent_pixels():
    assert parts_shape(128, 64, 8, 2) == (32, 16)
    assert parts_shape(129, 7, 8, 4) == (68, 4)  # the last latent pixels reach over the border with all their parts
    assert parts_shape(5, 3, 1, 1) == (5, 3)


def clip(origin, direction):
    near, far, hit = clip_to_box(torch.tensor([origin]), torch.tensor([direction]), BOX)
    return float(near), float(far), bool(hit)


def test_box_hit_from_outside():
    assert clip([-5.0, 0.5, 0.5], [1.0, 0.0, 0.0]) == (4.0, 6.0, True)
    assert clip([0.5, 0.5, 9.0], [0.0, 0.0, -1.0]) == (6.0, 12.0, True)
    near, far, hit = clip([-2.0, -2.0, 0.0], [math.sqrt(0.5), math.sqrt(0.5), 0.0])
    assert hit and near == pytest.approx(math.sqrt(2)) and far == pytest.approx(3 * math.sqrt(2))


def test_box_from_inside_starts_at_the_origin():
    assert clip([0.5, 0.0, 0.0], [1.0, 0.0, 0.0]) == (0.0, 0.5, True)
    assert clip([0.5, 0.0, 0.0], [-1.0, 0.0, 0.0]) == (0.0, 1.5, True)


@pytest.mark.parametrize(
    ("origin", "direction"),
    [
        ([-5.0, 0.0, 0.0], [-1.0, 0.0, 0.0]),  # the box lies behind
        ([-5.0, 2.5, 0.0], [1.0, 0.0, 0.0]),  # parallel to an axis, above
        ([-5.0, -2.5, 0.0], [1.0, 0.0, 0.0]),  # parallel, below
        ([-5.0, 0.0, 3.5], [1.0, -0.0, -0.0]),
        ([-5.0, 0.0, 0.0], [0.6, 0.8, 0.0]),  # passes by
    ],
)
def test_box_missed(origin, direction):
    assert not clip(origin, direction)[2]


def test_rays_are_clipped_one_by_one():
    origins = torch.tensor([[-5.0, 0.5, 0.5], [-5.0, 2.5, 0.0], [0.5, 0.0, 0.0]])
    near, far, hit = clip_to_box(origins, torch.tensor([[1.0, 0.0, 0.0]] * 3), BOX)
    assert hit.tolist() == [True, False, True]
    assert near[hit].tolist() == [4.0, 0.0] and far[hit].tolist() == [6.0, 0.5]


def test_orbit_by_hand():
    view = orbit(4, 3.0, 0.0, 50.0, (64, 32), torch.tensor([1.0, 2.0, 3.0]))
    first = torch.tensor([[0.0, 0.0, 1.0, 4.0], [1.0, 0.0, 0.0, 2.0], [0.0, 1.0, 0.0, 3.0]])
    torch.testing.assert_close(view.c2w[0], first)
    torch.testing.assert_close(view.c2w[1, :, 3], torch.tensor([1.0, 5.0, 3.0]))
    assert view.fx.tolist() == view.fy.tolist() == [50.0] * 4
    assert view.cx.tolist() == [32.0] * 4 and view.cy.tolist() == [16.0] * 4


def test_orbit_looks_at_the_centre_from_its_distance_and_elevation():
    centre = torch.tensor([1.0, 2.0, 3.0])
    view = orbit(7, 2.5, 30.0, 50.0, (64, 32), centre)
    origins, directions = rays(view, torch.tensor([[[32.0, 16.0]]]).expand(7, -1, -1), 1)
    torch.testing.assert_close(origins[:, 0] + 2.5 * directions[:, 0], centre.expand(7, -1))
    torch.testing.assert_close(origins[:, 0, 2], torch.full((7,), 3.0 + 2.5 * 0.5))
    assert len({tuple(row) for row in origins[:, 0].round(decimals=3).tolist()}) == 7


@pytest.mark.parametrize("elevation", [-40.0, 0.0, 60.0])
def test_orbit_cameras_are_upright_and_right_handed(elevation):
    rotation = orbit(5, 2.0, elevation, 50.0, (64, 64), torch.zeros(3)).c2w[:, :, :3]
    torch.testing.assert_close(rotation.mT @ rotation, torch.eye(3).expand(5, 3, 3))
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(5))
    torch.testing.assert_close(rotation[:, 2, 0], torch.zeros(5))  # the horizon is level
    assert (rotation[:, 2, 1] > 0.4).all()  # up is up
