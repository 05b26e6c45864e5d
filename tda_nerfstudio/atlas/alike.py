"""What makes a scene hard to learn with the others: a busy background, another scale."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from statistics import median
from typing import NamedTuple

from jaxtyping import Bool
from torch import Tensor

from tda_nerfstudio.atlas.bounds import evenly, look_at, spread
from tda_nerfstudio.atlas.carving import silhouette
from tda_nerfstudio.atlas.posed import Scene
from tda_nerfstudio.base.errors import TdaError

VIEWS = 3
"""How many views of a scene are looked at."""
UNLIKE = 2.0
"""A scene is unlike the others if it is at least this many times as large, or as far away, as they are."""


class _Glance(NamedTuple):
    distance: float
    """From the middle of the views to the point they look at."""
    extent: float | None
    """Of the object's outline at that point, in world units; None where nothing separates it from the background."""
    busy: bool


def busy_background(scene: Scene) -> bool:
    """Say whether most views are opaque and not white at their border, so that the background is learnt too."""
    return _glance(scene).busy


def unlike_scales(scenes: Sequence[Scene], most: int = 64) -> dict[str, str]:
    """Find scenes that are much larger or smaller than the others, or seen from much nearer or farther; say how.

    Looks at `most` scenes, spread evenly.
    """
    chosen = evenly(scenes, most)
    glances = {scene.name: _glance(scene) for scene in chosen}
    found: dict[str, str] = {}
    for name, glance in glances.items():
        others = [other for key, other in glances.items() if key != name]
        sizes = [other.extent for other in others if other.extent]
        if glance.extent and sizes and (times := _unlike(glance.extent / median(sizes))):
            found[name] = f"is {times} times as large as the others"
        elif others and (times := _unlike(glance.distance / max(median(o.distance for o in others), 1e-9))):
            found[name] = f"is seen from {times} times as far as the others"
    return found


def _unlike(ratio: float) -> str | None:
    return None if 1 / UNLIKE < ratio < UNLIKE else f"{ratio:.2g}"


@lru_cache(maxsize=256)
def _glance(scene: Scene) -> _Glance:
    """Look at a few views of a scene; those that cannot be read are left out, since training reports them."""
    views, unclear, extents = spread(scene.train.c2w[:, :, 2], VIEWS), 0, []
    centre = look_at([scene])[0]
    distances = (scene.train.c2w[:, :, 3] - centre).norm(dim=-1)
    for view in views:
        try:
            mask, busy, _ = silhouette(scene, view)
        except TdaError:
            continue
        unclear += busy
        if mask is not None:
            extents.append(float(distances[view]) * _share(mask, scene, view))
    extent = median(extents) if extents else None
    return _Glance(float(distances.median()), extent, 2 * unclear > len(views))


def _share(mask: Bool[Tensor, "height width"], scene: Scene, view: int) -> float:
    """Return the longer side of a mask's outline at distance 1."""
    across, down = (mask.any(dim).nonzero()[:, 0] for dim in (0, 1))
    width, height = (float(line[-1] - line[0] + 1) for line in (across, down))
    return max(width / float(scene.train.fx[view]), height / float(scene.train.fy[view]))
