"""Ellipsoids by hand: where a ray meets them, what it sees, and planes that hold one."""

from __future__ import annotations

import pytest
import torch

from tda_nerfstudio.studies.bench import ellipsoids
from tda_nerfstudio.studies.bench.ellipsoids import BACKGROUND, LIGHT, Vehicle


def vehicle() -> Vehicle:
    """A green ellipsoid with half axes 1, 2, 3 before a red ball at x = -5."""
    centre = torch.tensor([[0.0, 0, 0], [-5, 0, 0]])
    half = torch.tensor([[1.0, 2, 3], [1, 1, 1]])
    return Vehicle(centre, half, torch.tensor([[0.0, 1, 0, 0.5], [1, 0, 0, 0]]))


def test_the_nearest_surface_is_seen_lit_by_its_normal():
    origins, directions = torch.tensor([[9.0, 0, 0], [-9, 0, 0]]), torch.tensor([[-1.0, 0, 0], [1, 0, 0]])
    front, back = ellipsoids.look(vehicle(), origins, directions)
    assert front.tolist() == pytest.approx([0, 0.6 + 0.4 * LIGHT[0], 0, (0.6 + 0.4 * LIGHT[0]) / 2], abs=1e-6)
    assert back.tolist() == pytest.approx([0.6 - 0.4 * LIGHT[0], 0, 0, 0], abs=1e-6)


def test_rays_that_graze_and_rays_that_miss():
    origins = torch.tensor([[9.0, 1.99, 0], [9, 2.01, 0], [9, 0, -2.99], [9, 0, -3.01]])
    seen = ellipsoids.look(vehicle(), origins, torch.tensor([[-1.0, 0, 0]]).expand(4, -1))
    hit = [bool(row[0] != BACKGROUND[0]) for row in seen]
    assert hit == [True, False, True, False]
    assert seen[1].tolist() == pytest.approx(BACKGROUND)


def test_vehicles_differ_and_fit_the_box():
    low, high = torch.tensor(ellipsoids.BOX)
    made = [ellipsoids.make_vehicle(seed) for seed in range(20)]
    assert torch.equal(ellipsoids.make_vehicle(3).half, made[3].half) and not torch.equal(made[3].half, made[4].half)
    for one in made:
        assert (one.centre - one.half >= low - 0.02).all() and (one.centre + one.half <= high + 0.02).all()


def test_pictures_show_a_vehicle_before_white():
    view = ellipsoids.cameras((10.0, 40.0), 3, 32)
    drawn = ellipsoids.pictures(ellipsoids.make_vehicle(0), view, 32)
    assert drawn.shape == (6, 4, 32, 32) and drawn.min() >= 0 and drawn.max() <= 1
    assert (drawn[:, :, 0, 0] == torch.tensor(BACKGROUND)).all()
    covered = (drawn[:, :3] < 1).any(1).float().mean((1, 2))
    assert ((covered > 0.08) & (covered < 0.5)).all()


def test_three_planes_sum_to_the_ellipsoid():
    box, half = torch.tensor([[-1.0, -2, -3], [1, 2, 3]]), torch.tensor([[0.5, 1.0, 2.0]])
    xy, xz, yz = ellipsoids.body_planes(half, box, 4)[0]
    x, y, z = (torch.tensor([-0.75, -0.25, 0.25, 0.75])[:, None] * box[1]).T
    for i, j, k in ((0, 1, 2), (3, 0, 1), (2, 2, 2)):
        truth = 1 - (x[i] / 0.5) ** 2 - y[j] ** 2 - (z[k] / 2) ** 2
        assert float(xy[j, i] + xz[k, i] + yz[k, j]) == pytest.approx(float(truth), abs=1e-5)
