"""Normals of what is seen, from its depth."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from tda_nerfstudio.core.cameras import pixel_centres, rays
from tda_nerfstudio.core.view import View


def depth_normals(depth: Float[Tensor, "view 1 h w"], view: View) -> Float[Tensor, "view 3 h w"]:
    """Compute normals from depths along rays through pixel centres; 0 where there is no depth (0).

    Unit vectors in the world frame that point to the camera. Of the two neighbours along each axis, the one nearer in
    depth counts, so that no normal is taken across a silhouette. `view` is for images of this size.
    """
    views, _, h, w = depth.shape
    origins, directions = rays(view, pixel_centres(h, w, depth.device).expand(views, -1, -1), 1.0)
    points = (origins + depth.flatten(2).transpose(1, 2) * directions).view(views, h, w, 3)
    normal = torch.linalg.cross(_step(points, depth[:, 0], 2), _step(points, depth[:, 0], 1))
    facing = (normal * directions.view_as(normal)).sum(-1, keepdim=True)
    normal = normalize(torch.where(facing > 0, -normal, normal), dim=-1)
    return normal.permute(0, 3, 1, 2) * (depth > 0)


def _step(points: Float[Tensor, "view h w 3"], depth: Float[Tensor, "view h w"], axis: int) -> Tensor:
    """Go to the next or from the last point along an image axis, whichever changes depth less and has one."""
    size = points.shape[axis]
    if size < 2:
        return torch.zeros_like(points)
    ahead = points.narrow(axis, 1, size - 1) - points.narrow(axis, 0, size - 1)
    first, last = depth.narrow(axis, 0, size - 1), depth.narrow(axis, 1, size - 1)
    change = torch.where((first > 0) & (last > 0), (last - first).abs(), torch.inf)
    after = torch.cat([ahead, ahead.narrow(axis, size - 2, 1)], axis)
    before = torch.cat([ahead.narrow(axis, 0, 1), ahead], axis)
    far = torch.full_like(depth.narrow(axis, 0, 1), torch.inf)
    nearer = torch.cat([change, far], axis) <= torch.cat([far, change], axis)
    return torch.where(nearer[..., None], after, before)
