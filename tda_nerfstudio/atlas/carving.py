"""Silhouettes, and the visual hulls that they carve: what of space may belong to an object, by all views of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tda_nerfstudio.atlas.images import read_alpha, read_image
from tda_nerfstudio.atlas.posed import Scene

_WHITE = 250  # of 255: JPEG makes a white background a little darker
_MASK_SIZE = 256  # pixels; larger silhouettes are reduced, keeping every pixel that is not empty


@dataclass(frozen=True)
class Cut:
    """A view's silhouette as a summed-area table, so that any rectangle is tested by four look-ups."""

    c2w: Float[Tensor, "3 4"]
    focal: tuple[float, float]
    centre: tuple[float, float]
    table: Int[Tensor, "height+1 width+1"]
    whole: bool  # the silhouette does not touch the border: everything outside the image is empty


class Silhouette(NamedTuple):
    """Where a view shows its object."""

    mask: Bool[Tensor, "height width"] | None
    """The object's pixels; None where neither alpha nor colour separates them."""
    busy: bool
    """Whether that is because of a busy background: opaque, and not white at the image's border."""
    by_alpha: bool
    """Whether alpha says so. By colour, white parts of an object look like background."""


def silhouette(scene: Scene, view: int) -> Silhouette:
    """Find the object's pixels by alpha, or else as those that are not white."""
    size, picture = (scene.width, scene.height), scene.train.pictures[view]
    alpha = read_alpha(picture, size)
    by_alpha = alpha is not None and not bool((alpha == 255).all())
    if alpha is not None and by_alpha:
        mask = alpha > 0
    else:
        dark = (read_image(picture, *size) < _WHITE).any(-1)
        if _border(dark).any():
            return Silhouette(None, True, False)
        mask = _between(dark, 0) & _between(dark, 1)  # white parts of an object are not holes
    return Silhouette(mask if mask.any() else None, False, by_alpha)


def _border(mask: Tensor) -> Tensor:
    return torch.cat([mask[0], mask[-1], mask[:, 0], mask[:, -1]])


def _between(mask: Bool[Tensor, "height width"], dim: int) -> Bool[Tensor, "height width"]:
    """Fill each line from its first to its last set pixel."""
    return (mask.cumsum(dim) > 0) & (mask.flip(dim).cumsum(dim).flip(dim) > 0)


def cut_of(scene: Scene, view: int, mask: Bool[Tensor, "height width"]) -> Cut:
    """Make the cut of a training view with this silhouette."""
    reduction = -(-max(mask.shape) // _MASK_SIZE)
    mask = F.max_pool2d(mask[None].float(), reduction, ceil_mode=True)[0]
    table = F.pad(mask.int().cumsum(0).cumsum(1), (1, 0, 1, 0))
    fx, fy, cx, cy = (getattr(scene.train, name)[view].item() / reduction for name in ("fx", "fy", "cx", "cy"))
    return Cut(scene.train.c2w[view], (fx, fy), (cx, cy), table.int(), not _border(mask).any())


def voxel_centres(box: Float[Tensor, "2 3"], cells: int) -> tuple[Float[Tensor, "voxel 3"], Float[Tensor, " 3"]]:
    """Return the centres of a box' cells x cells x cells voxels, indexed [x, y, z], and the sides of a voxel."""
    voxel = (box[1] - box[0]) / cells
    lines = [box[0, axis] + voxel[axis] * (torch.arange(cells) + 0.5) for axis in range(3)]
    return torch.stack(torch.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 3), voxel


def visual_hull(cuts: Sequence[Cut], box: Float[Tensor, "2 3"], cells: int, enough: int = 1) -> Bool[Tensor, "G G G"]:
    """Mark the cells of a box that cuts keep, indexed [x, y, z]: less than `enough` views show background there."""
    centres, voxel = voxel_centres(box, cells)
    return _agreed(centres, cuts, 0.5 * voxel.norm().item(), enough).view(cells, cells, cells)


def outermost(hull: Bool[Tensor, "G G G"]) -> Bool[Tensor, "G G G"]:
    """Mark the cells of a hull that have a neighbour, also across a corner, which is not of it."""
    empty = F.pad((~hull)[None].float(), (1,) * 6, value=1.0)
    return hull & (F.max_pool3d(empty, 3, 1)[0] > 0)


def refined_hull(
    hull: Bool[Tensor, "G G G"], cuts: Sequence[Cut], box: Float[Tensor, "2 3"], enough: int = 1
) -> Bool[Tensor, "2G 2G 2G"]:
    """Carve a hull again at twice its resolution: only what is in its outermost cells is tested."""
    cells = 2 * len(hull)

    def twice(grid: Tensor) -> Tensor:
        return grid.repeat_interleave(2, 0).repeat_interleave(2, 1).repeat_interleave(2, 2).flatten()

    centres, voxel = voxel_centres(box, cells)
    fine, test = twice(hull), twice(outermost(hull)).nonzero()[:, 0]
    fine[test] = _agreed(centres[test], cuts, 0.5 * voxel.norm().item(), enough)
    return fine.view(cells, cells, cells)


def _agreed(points: Float[Tensor, "point 3"], cuts: Sequence[Cut], reach: float, enough: int) -> Bool[Tensor, " point"]:
    """Say at which points less than `enough` cuts show background."""
    against = torch.zeros(len(points), dtype=torch.int)
    for cut in cuts:
        left = (against < enough).nonzero()[:, 0]
        against[left] += ~is_kept(points[left], cut, reach)
    return against < enough


def is_kept(points: Float[Tensor, "point 3"], cut: Cut, reach: float) -> Bool[Tensor, " point"]:
    """Say whether the footprint of a ball of radius `reach` meets the silhouette or may be out of sight."""
    x, y, z = ((points - cut.c2w[:, 3]) @ cut.c2w[:, :3]).unbind(-1)
    height, width = cut.table.shape[0] - 1, cut.table.shape[1] - 1
    near = (-z - reach).clamp_min(1e-6)
    depth = (-z).clamp_min(1e-6)
    left, right = _span(cut.centre[0] + cut.focal[0] * x / depth, cut.focal[0] * reach / near, width)
    top, bottom = _span(cut.centre[1] - cut.focal[1] * y / depth, cut.focal[1] * reach / near, height)
    table, row = cut.table.flatten(), width + 1
    inside = (
        table[bottom * row + right] - table[top * row + right] - table[bottom * row + left] + table[top * row + left]
    )
    kept = (inside > 0) & (-z > -reach)
    if cut.whole:
        return kept
    return kept | (left == right) | (top == bottom) | (-z <= reach)


def _span(middle: Float[Tensor, " point"], radius: Float[Tensor, " point"], size: int) -> tuple[Tensor, Tensor]:
    """Return the pixels [first, last) that an interval covers, clipped to the image."""
    first = (middle - radius).clamp(0, size).floor()
    last = ((middle + radius).floor() + 1).clamp(0, size)
    return first.long(), last.long()
