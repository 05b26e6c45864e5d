"""Points spread evenly over a surface, with normals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from trimesh import Trimesh


def points_on(surface: Trimesh, count: int, seed: int = 0) -> tuple[Float[Tensor, "point 3"], Float[Tensor, "point 3"]]:
    """Draw points of a closed surface, as many on any equal areas, and smooth normals that point outwards.

    Faces are walked through along a curve that fills space, and every so much area a point is taken: no two are near
    each other, as random ones would be. World frame.
    """
    rng = np.random.default_rng(seed)
    corners = np.asarray(surface.triangles)
    order = np.argsort(_along_a_curve(corners.mean(1)), kind="stable")
    area = np.cumsum(surface.area_faces[order])
    at = (np.arange(count) + rng.random(count)) * (area[-1] / count)
    face = order[np.searchsorted(area, at).clip(max=len(order) - 1)]
    u, v = rng.random((2, count))
    u, v = np.where(u + v > 1, (1 - u, 1 - v), (u, v))
    shares = np.stack([1 - u - v, u, v], 1)[:, :, None]
    normals = (np.asarray(surface.vertex_normals)[surface.faces[face]] * shares).sum(1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return torch.tensor((corners[face] * shares).sum(1)).float(), torch.tensor(normals).float()


def _along_a_curve(points: Float[np.ndarray, "point 3"], bits: int = 8) -> np.ndarray:
    """Place points along a Morton curve through their box."""
    low = points.min(0)
    cells = ((points - low) / max(float((points.max(0) - low).max()), 1e-12) * (2**bits - 1)).astype(np.int64)
    code = np.zeros(len(points), np.int64)
    for bit in range(bits):
        for axis in range(3):
            code |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    return code
