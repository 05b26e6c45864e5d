"""`tda export points`: one scene as coloured points with normals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tda_nerfstudio.base.checks import require_between
from tda_nerfstudio.export.colours import seen_colours
from tda_nerfstudio.export.files.ply import points
from tda_nerfstudio.export.made import WORLD, Made, header
from tda_nerfstudio.export.subject import Subject
from tda_nerfstudio.export.surface import SIDE
from tda_nerfstudio.export.surface_points import points_on


@dataclass(frozen=True)
class PointOptions:
    """How many points."""

    count: int = 50_000
    side: int = SIDE

    def check(self) -> None:
        """Raise TdaError for what cannot be made."""
        require_between("count", self.count, 1, 10_000_000)
        require_between("side", self.side, 16, 512)

    def names(self, scene: str) -> list[str]:
        """Name the file of a scene."""
        return [f"{scene}.points.ply"]


def make_points(subject: Subject, options: PointOptions) -> Made:
    """Spread points over a scene's surface. Raises TdaError where it has none."""
    positions, normals = points_on(subject.surface(options.side), options.count)
    like = subject.views.rgb
    colours = seen_colours(subject.views, positions.to(like), normals.to(like), subject.tolerance)
    shades = (colours.cpu().numpy() * 255).round().astype(np.uint8)
    content = points(positions.numpy(), normals.numpy(), shades, header(subject.name, WORLD))
    return Made({f"{subject.name}.points.ply": content}, {"points": options.count})
