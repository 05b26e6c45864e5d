"""Where splats begin: discs on the surface, as wide as their spacing, in the colours that views see there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tda_nerfstudio.export.colours import seen_colours
from tda_nerfstudio.export.splats.gaussians import C0, Splats, quaternions_along
from tda_nerfstudio.export.surface_points import points_on
from tda_nerfstudio.export.survey import Survey

if TYPE_CHECKING:
    from trimesh import Trimesh

WIDTH, THICKNESS = 0.55, 0.15
"""Standard deviations along and across the surface, in distances between neighbours."""
OPACITY = 0.8


def begin(surface: Trimesh, views: Survey, count: int, degree: int, tolerance: float, seed: int = 0) -> Splats:
    """Put splats on a surface, the same ones for the same seed. They look the same from all sides.

    `tolerance` is that of `seen_colours`.
    """
    points, normals = (part.to(views.rgb) for part in points_on(surface, count, seed))
    spacing = math.sqrt(surface.area / count)
    colours = seen_colours(views, points, normals, tolerance)
    harmonics = points.new_zeros(count, (degree + 1) ** 2, 3)
    harmonics[:, 0] = (colours - 0.5) / C0
    scales = points.new_tensor([WIDTH, WIDTH, THICKNESS]) * spacing
    logits = points.new_full((count,), math.log(OPACITY / (1 - OPACITY)))
    return Splats(points, scales.log().expand(count, 3).clone(), quaternions_along(normals), logits, harmonics)
