"""One axis-aligned box around every scene of an atlas, from cameras and silhouettes (a visual hull)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.atlas.carving import Cut, cut_of, is_kept, silhouette, voxel_centres
from tda_nerfstudio.atlas.posed import Scene
from tda_nerfstudio.base.errors import TdaError

TOLERANCE = 0.05
"""Share of a box' side by which new scenes may leave it: fitted boxes carry that much margin."""


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


def _cuts(scene: Scene, count: int) -> list[Cut]:
    """Read silhouettes of a few train views from all around; views without a silhouette are left out."""
    cuts = []
    for view in spread(scene.train.c2w[:, :, 2], count):
        try:
            mask = silhouette(scene, view).mask
        except TdaError:  # training reports it
            continue
        if mask is not None:
            cuts.append(cut_of(scene, view, mask))
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


def _hull(
    box: Float[Tensor, "2 3"], cells: int, scenes: Sequence[Sequence[Cut]]
) -> tuple[Float[Tensor, "2 3"] | None, Float[Tensor, " 3"]]:
    """Return the bounds of the voxel centres that any scene keeps (None if there are none) and the voxel's sides."""
    voxels, voxel = voxel_centres(box, cells)
    bounds = None
    for cuts in scenes:
        if bounds is not None:  # only the union's bounds are wanted: voxels within them need no test
            voxels = voxels[((voxels < bounds[0]) | (voxels > bounds[1])).any(-1)]
        kept = voxels
        for cut in cuts:
            kept = kept[is_kept(kept, cut, 0.5 * voxel.norm().item())]
        if len(kept):
            ends = kept if bounds is None else torch.cat([kept, bounds])
            bounds = torch.stack([ends.amin(0), ends.amax(0)])
    return bounds, voxel


def reach_out(box: Float[Tensor, "2 3"], scenes: Sequence[Scene]) -> str:
    """Say by what share of its side scenes leave a box, as "x by 12 %"; "" where it is no more than `TOLERANCE`.

    Raises TdaError as `fit_box` does.
    """
    needed, box = fit_box(scenes), box.cpu()
    outside = torch.maximum(box[0] - needed[0], needed[1] - box[1]) / (box[1] - box[0])
    if float(outside.max()) <= TOLERANCE:
        return ""
    return ", ".join(f"{axis} by {100 * float(v):.0f} %" for axis, v in zip("xyz", outside, strict=True) if v > 0)
