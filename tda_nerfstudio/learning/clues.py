"""Clues for the starter: the surfaces of scenes as some of their training views show them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from tda_nerfstudio.atlas.carving import refined_hull, visual_hull
from tda_nerfstudio.atlas.colouring import coloured_surface
from tda_nerfstudio.base.randomness import seeded
from tda_nerfstudio.core.objective import Batch
from tda_nerfstudio.core.surface import Surface
from tda_nerfstudio.learning.silhouettes import Silhouettes

LOOKS = 12
"""Views that a surface is looked at from, at most; its hull is carved by all."""
VARIANTS = 4
"""Surfaces of a scene that the starter learns from; all but the first two are of few views."""
FINE = 2
"""Image pixels along a cell of the surface, at most; larger images are reduced."""


def recoloured(batch: Batch, seed: int, step: int) -> Batch:
    """Swap the colour channels of each scene in what the starter sees and in what it has to show.

    So it learns shapes that may have any colour, and not the colours of its scenes. Latents have to be pixels,
    which all have one variance.
    """
    assert batch.parts is not None
    generator = seeded(seed, step, "colours")
    order = torch.stack([torch.randperm(3, generator=generator) for _ in batch.surfaces]).to(batch.slot.device)
    surfaces = tuple(
        each._replace(seen=torch.cat([each.seen[:, own], each.seen[:, 3:]], 1))
        for each, own in zip(batch.surfaces, order, strict=True)
    )
    channels = order[batch.slot][..., None]
    latents = batch.parts.latents.gather(1, channels.expand_as(batch.parts.latents))
    return batch._replace(surfaces=surfaces, parts=batch.parts._replace(latents=latents))


class Clues:
    """The surfaces of all scenes, each kept from when it is first asked for."""

    def __init__(self, silhouettes: Silhouettes, box: Float[Tensor, "2 3"], cells: int, resolution: int) -> None:
        """Hulls are carved out of `cells` along each side of the box, and refined to no more than `resolution`."""
        self.silhouettes, self.box, self.cells, self.resolution = silhouettes, box, cells, resolution
        self._kept: dict[tuple[int, int], Surface] = {}

    def variant(self, row: int, seed: str, visit: int, hull: Bool[Tensor, "G G G"] | None = None) -> Surface:
        """Return a scene's surface for one visit, of all its views or of few; `hull` is what all of them carve."""
        key = row, visit % VARIANTS
        if key not in self._kept:
            count = self.silhouettes.views.train.counts[row]
            generator = seeded(seed, key[1], "clues")
            share = float(torch.rand((), generator=generator)) if key[1] >= 2 else 1.0
            chosen = torch.randperm(count, generator=generator)[: round(count**share)].tolist()
            known = hull.cpu() if hull is not None and len(chosen) == count else None
            self._kept[key] = self.surface(row, chosen, known)
        return self._kept[key]

    def surface(self, row: int, chosen: Sequence[int], hull: Bool[Tensor, "G G G"] | None = None) -> Surface:
        """Look at a scene's hull from some of its views; `hull` is what these carve, where that is known.

        Without silhouettes it is empty.
        """
        few: Sequence[int] = chosen
        if len(chosen) > LOOKS:
            few = [chosen[i] for i in torch.linspace(0, len(chosen) - 1, LOOKS).round().long().tolist()]
        if hull is None:
            cuts, enough = self.silhouettes.cuts(row, chosen)
            hull = visual_hull(cuts, self.box, self.cells, enough) if cuts else torch.zeros(*[self.cells] * 3).bool()
        cuts, enough = self.silhouettes.cuts(row, few)
        while cuts and 2 * len(hull) <= self.resolution:
            hull = refined_hull(hull, cuts, self.box, enough)
        views = self.silhouettes.views
        index = torch.tensor(few) + views.train.offsets[row]
        images = views.images(views.train, index, keep=False).cpu()
        smaller = max(max(images.shape[-2:]) // (FINE * self.resolution), 1)
        view = views.train.view[index]
        if smaller > 1:
            images = avg_pool2d(images, smaller, ceil_mode=True)
            view = type(view)(view.c2w, *(value / smaller for value in (view.fx, view.fy, view.cx, view.cy)))
        return coloured_surface(hull, self.box, view, images)
