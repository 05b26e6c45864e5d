"""Whether a scene has anything solid."""

from __future__ import annotations

import torch

from tda_nerfstudio.core.showing import OneScene

FOG = 0.05
"""Way, in shares of the box' longest side, on which a surface takes at least half of a ray's light."""


@torch.no_grad()
def why_not_solid(scene: OneScene) -> str:
    """Say why a scene has no surface: it is empty, or fog wherever it is; "" for one that may have a surface."""
    table, planes, occupied, _ = scene
    density = table.cells(planes[0])[0][occupied[0]]
    if not len(density):
        return "it is empty"
    return "it is fog all over" if -torch.expm1(-density.amax() * 2 * FOG) < 0.5 else ""
