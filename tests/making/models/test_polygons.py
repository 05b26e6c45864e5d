"""Polygons as triangles, against areas worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.models import polygons
from tda_nerfstudio.making.models.polygons import triangulate

ELL = [(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)]


def cut(*outlines) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangulate outlines in the plane z = 0; also give each triangle's signed area."""
    points = np.array([(*corner, 0) for outline in outlines for corner in outline], float)
    triangles, rows = triangulate(points, np.array([len(outline) for outline in outlines]))
    a, b, c = (points[triangles[:, k]] for k in range(3))
    return triangles, rows, np.cross(b - a, c - a)[:, 2] / 2


def test_triangles_stay_and_convex_polygons_become_fans():
    square, triangle = [(0, 0), (1, 0), (1, 1), (0, 1)], [(0, 0), (1, 0), (0, 1)]
    triangles, rows, areas = cut(square, triangle, [(0, 0), (1, 0)], square)
    assert triangles.tolist() == [[0, 1, 2], [0, 2, 3], [4, 5, 6], [9, 10, 11], [9, 11, 12]]
    assert rows.tolist() == [0, 0, 1, 3, 3]
    assert areas.tolist() == [0.5] * 5


@pytest.mark.parametrize("first", range(6))
@pytest.mark.parametrize("turn", [1, -1])
def test_a_notch_stays_empty_wherever_the_outline_begins(first, turn):
    outline = (ELL[first:] + ELL[:first])[::turn]
    triangles, rows, areas = cut(outline)
    assert len(triangles) == 4 and (areas * turn >= 0).all() and areas.sum() == 3 * turn
    middles = np.array([(*corner, 0) for corner in outline])[triangles].mean(1)
    assert not ((middles[:, 0] > 1) & (middles[:, 1] > 1)).any()
    assert rows.tolist() == [0] * 4


def test_an_arrow_is_cut_from_its_hollow():
    _, _, areas = cut([(0, 0), (2, 0), (0.5, 0.5), (0, 2)])
    assert sorted(areas.tolist()) == [0.5, 0.5]


def area(outline: np.ndarray) -> float:
    x, y = outline.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def test_combs_and_stars_keep_their_area():
    comb = [(0, 0), (20, 0), *((x / 2, 1 if x % 4 in (0, 3) else 5) for x in range(40, -1, -1))]
    angles = np.arange(60) * 2 * np.pi / 60
    radii = np.random.default_rng(0).uniform(0.2, 2, 60)
    star = np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]
    for outline in (np.array(comb), star):
        triangles, _, areas = cut(outline)
        assert len(triangles) == len(outline) - 2
        assert (areas > -1e-12).all() and areas.sum() == pytest.approx(area(outline))


def test_polygons_may_stand_anywhere_in_space():
    turned, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    points = np.array([(*corner, 0) for corner in ELL], float) @ turned.T + 1e5
    triangles, _ = triangulate(points, np.array([6]))
    a, b, c = (points[triangles[:, k]] for k in range(3))
    assert np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2 == pytest.approx(3)


def test_outlines_that_cross_themselves_or_have_no_area_end(monkeypatch):
    for outline in ([(0, 0), (1, 1), (1, 0), (0, 1)], [(0, 0), (4, 0), (1, 2), (2, -1), (3, 2)], [(0, 0)] * 7):
        assert len(cut(outline)[0]) == len(outline) - 2
    for value in (np.nan, np.inf):
        points = np.array([(0, 0, 0), (1, 0, 0), (value, 1, 0), (0.5, 0.5, 0), (0, 2, 0)])
        assert len(triangulate(points, np.array([5]))[0]) == 3
    monkeypatch.setattr(polygons, "MAX_CORNERS", 5)
    with pytest.raises(TdaError, match="It declares 6 corners of a polygon that is not convex; 5 are the limit."):
        cut(ELL)
