"""Silhouettes of training views: where rays have something to learn, and where space is empty."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from tda_nerfstudio.atlas.carving import Cut, Silhouette, cut_of, silhouette, visual_hull
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.cameras import parts_shape
from tda_nerfstudio.learning.views import SceneViews

ANYWHERE = 8
"""One of so many drawn parts may be anywhere in the view, also far from the object."""
MARGIN = 2
"""Parts around the silhouette that are drawn as often as those in it."""


class Silhouettes:
    """The silhouettes of all training views, each read when it is first asked for.

    A view without a silhouette (a photograph with its surroundings, or an image that cannot be read) is one in which
    everything may matter.
    """

    def __init__(self, views: SceneViews, f: int, sub: int) -> None:
        """Parts are those of latent pixels of f x f image pixels that have sub x sub parts."""
        self.views, self.size, self.part = views, parts_shape(views.height, views.width, f, sub), f // sub
        self._near: dict[int, Tensor | None] = {}

    @property
    def parts(self) -> int:
        """Count the parts of a view."""
        return self.size[0] * self.size[1]

    def draw(
        self, index: Int[Tensor, " view"], count: int, generators: Sequence[torch.Generator]
    ) -> Int[Tensor, "view part"]:
        """Draw parts of some views, most of them at the object; one generator serves each equal share of the views."""
        drawn, each = [], len(index) // len(generators)
        for i, view in enumerate(index.tolist()):
            drawn.append(draw_parts(self.near(view), self.parts, count, generators[i // each]))
        return torch.stack(drawn)

    def hull(self, row: int, box: Float[Tensor, "2 3"], cells: int) -> Bool[Tensor, "G G G"] | None:
        """Carve a scene's visual hull out of the cells of a box. None if no view has a silhouette, or nothing is left.

        Silhouettes by colour may have holes where an object is white: then half of the views have to agree that a cell
        is empty. Nothing is left where silhouettes contradict each other, as those of a wrong camera do.
        """
        cuts, enough = self.cuts(row)
        hull = visual_hull(cuts, box, cells, enough) if cuts else None
        return hull if hull is not None and hull.any() else None

    def cuts(self, row: int, chosen: Sequence[int] | None = None) -> tuple[list[Cut], int]:
        """Cut out what some of a scene's views show, by default all, and count those that are enough to empty a cell.

        Views without a silhouette are left out.
        """
        scene, first = self.views.atlas.scenes[row], self.views.train.offsets[row]
        cuts, by_alpha = [], True
        for view in range(len(scene.train)) if chosen is None else chosen:
            found = self._find(first + view)
            if found is not None and found.mask is not None:
                cuts.append(cut_of(scene, view, found.mask))
                by_alpha = by_alpha and found.by_alpha
        return cuts, 1 if by_alpha else -(-len(cuts) // 2)

    def near(self, index: int) -> Int[Tensor, " part"] | None:
        """List the parts of a view that are at the object, or None if that is not known."""
        if index not in self._near:
            self._find(index)
        return self._near[index]

    def _find(self, index: int) -> Silhouette | None:
        """Read a view's silhouette, and keep the parts at it."""
        row = self.views.train.scene_of(index)
        try:
            found = silhouette(self.views.atlas.scenes[row], index - self.views.train.offsets[row])
        except TdaError:  # reported where its pixels are needed
            found = None
        if index not in self._near:
            self._near[index] = None if found is None or found.mask is None else self._parts_near(found.mask)
        return found

    def _parts_near(self, mask: Bool[Tensor, "height width"]) -> Int[Tensor, " part"]:
        rows, columns = self.size
        right, below = columns * self.part - mask.shape[1], rows * self.part - mask.shape[0]
        near = parts_near(pad(mask, (0, right, 0, below)), self.part)
        return near.to(torch.int16 if self.parts < 1 << 15 else torch.int32)


def parts_near(mask: Bool[Tensor, "height width"], size: int) -> Int[Tensor, " part"]:
    """List the parts of size x size pixels that are at a silhouette, or within the margin around it."""
    near = max_pool2d(max_pool2d(mask[None].float(), size), 2 * MARGIN + 1, stride=1, padding=MARGIN)
    return near.flatten().nonzero()[:, 0]


def draw_parts(
    near: Int[Tensor, " part"] | None, parts: int, count: int, generator: torch.Generator
) -> Int[Tensor, " part"]:
    """Draw some of a view's parts, most of them near its object if that is known."""
    anywhere = count if near is None else -(-count // ANYWHERE)
    drawn = torch.randint(parts, (anywhere,), generator=generator)
    if near is None:
        return drawn
    return torch.cat([near[torch.randint(len(near), (count - anywhere,), generator=generator)].long(), drawn])
