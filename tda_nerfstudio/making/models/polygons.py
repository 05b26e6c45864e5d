"""Polygons cut into triangles: convex ones into fans, all of a size at once; others by clipping ears."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from tda_nerfstudio.making.models.parts import check_count

MAX_CORNERS = 2000
"""Largest number of corners of a polygon that is not convex: the time to cut it grows with their square."""


@np.errstate(all="ignore")  # what is not finite is refused later
def triangulate(
    points: Float[np.ndarray, "corner 3"], sizes: Int[np.ndarray, " polygon"]
) -> tuple[Int[np.ndarray, "triangle 3"], Int[np.ndarray, " triangle"]]:
    """Cut polygons, given one after the other, into triangles of their corners; say which polygon each comes from.

    Polygons of less than three corners give none. A polygon may be a little out of its plane.
    """
    starts = np.cumsum(sizes) - sizes
    triangles: list[NDArray] = [np.empty((0, 3), np.int64)]
    rows: list[NDArray] = [np.empty(0, np.int64)]
    for size in np.unique(sizes[sizes > 2]):
        polygons = np.flatnonzero(sizes == size)
        convex = np.ones(len(polygons), bool) if size == 3 else _convex(points, starts[polygons], int(size))
        fan = np.stack([np.zeros(size - 2, np.int64), np.arange(1, size - 1), np.arange(2, size)], 1)
        for polygon in polygons[~convex]:
            check_count(int(size), "corners of a polygon that is not convex", MAX_CORNERS)
            triangles.append(starts[polygon] + _clip(_flat(points[starts[polygon] : starts[polygon] + size])))
            rows.append(np.repeat(polygon, size - 2))
        triangles.append((starts[polygons[convex], None, None] + fan).reshape(-1, 3))
        rows.append(np.repeat(polygons[convex], size - 2))
    row = np.concatenate(rows)
    order = np.argsort(row, kind="stable")
    return np.concatenate(triangles)[order], row[order]


def _convex(points: NDArray, starts: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    """Say which polygons of one size turn the same way at every corner."""
    result = np.ones(len(starts), bool)
    block = max(1, 2**20 // size)
    for at in range(0, len(starts), block):
        corners = points[starts[at : at + block, None] + np.arange(size)]
        sides = np.roll(corners, -1, 1) - corners
        turns = np.cross(np.roll(sides, 1, 1), sides)
        spokes = corners - corners[:, :1]
        normal = np.cross(spokes, np.roll(spokes, -1, 1)).sum(1, keepdims=True)
        lengths = np.linalg.norm(turns, axis=2) * np.linalg.norm(normal, axis=2)
        result[at : at + block] = ((turns * normal).sum(2) >= -1e-6 * lengths).all(1)
    return result


def _flat(corners: Float[np.ndarray, "corner 3"]) -> Float[np.ndarray, "corner 2"]:
    """Look at a polygon along its mean normal, so that it runs counter-clockwise."""
    spokes = corners - corners[0]
    normal = np.cross(spokes, np.roll(spokes, -1, 0)).sum(0)
    axis = int(np.abs(normal).argmax())
    kept = [(1, 2), (2, 0), (0, 1)][axis]
    return spokes[:, kept if normal[axis] >= 0 else kept[::-1]]


def _clip(points: Float[np.ndarray, "corner 2"]) -> Int[np.ndarray, "triangle 3"]:
    """Cut off one ear after the other; the rest of a polygon that crosses itself becomes a fan."""
    left = list(range(len(points)))
    triangles = []
    at = 0
    while len(left) > 3:
        count = len(left)
        around = ((at + step) % count for step in range(count))
        k = next((k for k in around if _is_ear(points, left[k - 1], left[k], left[(k + 1) % count], left)), None)
        if k is None:
            triangles += [[left[0], *pair] for pair in zip(left[1:-2], left[2:-1], strict=True)]
            left = [left[0], *left[-2:]]
        else:
            triangles.append([left[k - 1], left[k], left[(k + 1) % count]])
            del left[k]
            at = max(k - 1, 0)
    return np.array([*triangles, left])


def _is_ear(points: NDArray, before: int, corner: int, after: int, left: list[int]) -> bool:
    """Say whether a corner turns left and no other lies in its triangle."""
    a, b, c = points[[before, corner, after]]
    if not _turn(a, b, c) >= 0:
        return False
    others = points[left]
    inside = (_turn(a, b, others) >= 0) & (_turn(b, c, others) >= 0) & (_turn(c, a, others) >= 0)
    same = (others == a).all(1) | (others == b).all(1) | (others == c).all(1)
    return not (inside & ~same).any()


def _turn(a: NDArray, b: NDArray, c: NDArray) -> NDArray:
    """Twice the area of a triangle, positive where it turns left."""
    return (b[0] - a[0]) * (c[..., 1] - a[1]) - (b[1] - a[1]) * (c[..., 0] - a[0])
