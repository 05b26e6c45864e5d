"""One axis-aligned box around every scene of an atlas, from cameras and silhouettes (a visual hull)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tda_nerfstudio.atlas.images import read_alpha, read_image
from tda_nerfstudio.atlas.posed import Scene
from tda_nerfstudio.base.errors import TdaError

_WHITE = 250  # of 255: JPEG makes a white background a little darker
_MASK_SIZE = 256  # pixels; larger silhouettes are reduced, keeping every pixel that is not empty


@dataclass(frozen=True)
class _Cut:
    """A view's silhouette as a summed-area table, so that any rectangle is tested by four look-ups."""

    c2w: Float[Tensor, "3 4"]
    focal: tuple[float, float]
    centre: tuple[float, float]
    table: Int[Tensor, "height+1 width+1"]
    whole: bool  # the silhouette does not touch the border: everything outside the image is empty


def fit_box(
    scenes: Sequence[Scene], views_per_scene: int = 12, max_scenes: int = 64, grid: int = 64, margin: float = 0.05
) -> Float[Tensor, "2 3"]:
    """Fit one box (min corner, max corner; world frame of the files) around the visual hulls of all scenes.

    Carves the cube that the cameras look at by the silhouettes of a few views, coarsely and then finely, and adds
    `margin` of the extent and one voxel on each side. Scenes without usable silhouettes count as the whole cube.
    """
    if not scenes:
        raise TdaError("There is no scene to fit a box to. Give an atlas with at least one scene.")
    chosen = evenly(scenes, max_scenes)
    centre, inner, outer = look_at(chosen)
    cube = torch.stack([centre - inner, centre + inner])
    cuts = [_cuts(scene, views_per_scene) for scene in chosen]
    carved = [views for views in cuts if views]
    box = torch.stack([centre - outer, centre + outer])
    for cells in (max(2, grid // 2), max(2, grid)):
        hull, voxel = _hull(box, cells, carved)
        if hull is None:
            return cube
        box = torch.stack([hull[0] - voxel, hull[1] + voxel])
    pad = margin * (box[1] - box[0])
    box = torch.stack([box[0] - pad, box[1] + pad])
    if len(carved) < len(cuts):
        box = torch.stack([torch.minimum(box[0], cube[0]), torch.maximum(box[1], cube[1])])
    return box


def evenly(items: Sequence, count: int) -> list:
    """Pick at most `count` items at even distances, first and last included."""
    if len(items) <= count:
        return list(items)
    return [items[int(index)] for index in torch.linspace(0, len(items) - 1, max(1, count)).round()]


def look_at(scenes: Sequence[Scene]) -> tuple[Float[Tensor, " 3"], float, float]:
    """Return the point nearest to all optical axes, and half the width there of the narrowest and of the widest view.

    An object that every view shows whole fits into the narrowest view. One that close-ups cut off fits into the widest.
    """
    c2w = torch.cat([scene.train.c2w for scene in scenes]).double()
    focal = torch.cat(
        [torch.stack([scene.train.fx / scene.width, scene.train.fy / scene.height]) for scene in scenes], 1
    )
    origins, axes = c2w[:, :, 3], -c2w[:, :, 2]
    across = torch.eye(3, dtype=torch.float64) - axes[:, :, None] * axes[:, None, :]
    centre = torch.linalg.pinv(across.sum(0), hermitian=True, rtol=1e-6) @ (across @ origins[:, :, None]).sum(0)[:, 0]
    depth = ((centre - origins) * axes).sum(-1)
    distance = (centre - origins).norm(dim=-1)
    tangent = 0.5 / focal.double().amax(0)
    looking = depth > 1e-6
    if not looking.any():  # cameras that look outwards, or a single one at the origin: a cube around them
        half = max(1.0, 2 * distance.max().item())
        return centre.float(), half, half
    half = torch.minimum(depth * tangent, distance)[looking]
    return centre.float(), half.min().item(), half.max().item()


def _cuts(scene: Scene, count: int) -> list[_Cut]:
    """Read silhouettes of a few train views from all around; views without a silhouette are left out."""
    cuts = []
    for view in spread(scene.train.c2w[:, :, 2], count):
        try:
            mask, _ = silhouette(scene, view)
        except TdaError:  # training reports it
            continue
        if mask is None:
            continue
        reduction = -(-max(mask.shape) // _MASK_SIZE)
        mask = F.max_pool2d(mask[None].float(), reduction, ceil_mode=True)[0]
        table = F.pad(mask.int().cumsum(0).cumsum(1), (1, 0, 1, 0))
        fx, fy, cx, cy = (getattr(scene.train, name)[view].item() / reduction for name in ("fx", "fy", "cx", "cy"))
        cuts.append(_Cut(scene.train.c2w[view], (fx, fy), (cx, cy), table.int(), not _border(mask).any()))
    return cuts


def spread(axes: Float[Tensor, "view 3"], count: int) -> list[int]:
    """Pick views greedily, each as far from the ones before as possible; opposite views see the same outline.

    Taking every nth file can fall in step with an orbit: 16 views chosen so carved away less than 12 of these.
    """
    picked: list[int] = []
    nearest = torch.zeros(len(axes))
    for _ in range(min(count, len(axes))):
        view = int(nearest.argmin())
        picked.append(view)
        nearest = torch.maximum(nearest, (axes @ axes[view]).abs())
        nearest[view] = 2.0  # beyond any cosine: never again
    return picked


def silhouette(scene: Scene, view: int) -> tuple[Bool[Tensor, "height width"] | None, bool]:
    """Find the object's pixels by alpha, or else as those that are not white; None when neither separates it.

    Also say whether the reason is a busy background: opaque, and not white at the image's border.
    """
    size, picture = (scene.width, scene.height), scene.train.pictures[view]
    alpha = read_alpha(picture, size)
    if alpha is not None and not (alpha == 255).all():
        mask = alpha > 0
    else:
        dark = (read_image(picture, *size) < _WHITE).any(-1)
        if _border(dark).any():
            return None, True
        mask = _between(dark, 0) & _between(dark, 1)  # white parts of an object are not holes
    return (mask if mask.any() else None), False


def _border(mask: Tensor) -> Tensor:
    return torch.cat([mask[0], mask[-1], mask[:, 0], mask[:, -1]])


def _between(mask: Bool[Tensor, "height width"], dim: int) -> Bool[Tensor, "height width"]:
    """Fill each line from its first to its last set pixel."""
    return (mask.cumsum(dim) > 0) & (mask.flip(dim).cumsum(dim).flip(dim) > 0)


def _hull(
    box: Float[Tensor, "2 3"], cells: int, scenes: Sequence[Sequence[_Cut]]
) -> tuple[Float[Tensor, "2 3"] | None, Float[Tensor, " 3"]]:
    """Return the bounds of the voxel centres that any scene keeps (None if there are none) and the voxel's sides."""
    voxel = (box[1] - box[0]) / cells
    lines = [box[0, axis] + voxel[axis] * (torch.arange(cells) + 0.5) for axis in range(3)]
    voxels = torch.stack(torch.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 3)
    bounds = None
    for cuts in scenes:
        if bounds is not None:  # only the union's bounds are wanted: voxels within them need no test
            voxels = voxels[((voxels < bounds[0]) | (voxels > bounds[1])).any(-1)]
        kept = voxels
        for cut in cuts:
            kept = kept[_is_kept(kept, cut, 0.5 * voxel.norm().item())]
        if len(kept):
            ends = kept if bounds is None else torch.cat([kept, bounds])
            bounds = torch.stack([ends.amin(0), ends.amax(0)])
    return bounds, voxel


def _is_kept(points: Float[Tensor, "point 3"], cut: _Cut, reach: float) -> Bool[Tensor, " point"]:
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
