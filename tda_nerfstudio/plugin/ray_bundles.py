"""nerfstudio's bundles of rays, for its exporters: our scenes are rendered from cameras, and also along any rays."""

from __future__ import annotations

import torch
from jaxtyping import Float
from nerfstudio.cameras.rays import RayBundle
from torch import Tensor
from torch.nn.functional import normalize

from tda_nerfstudio.core.cameras import View
from tda_nerfstudio.core.ray_colours import Colours
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.rendering import render_rays
from tda_nerfstudio.core.showing import SOLID, OneScene

STRAIGHT = 1e-4
"""Largest difference, from what a pinhole camera would have, of directions in a bundle that is one."""


def camera_of(bundle: RayBundle) -> View | None:
    """Find the pinhole camera whose rays a bundle [height, width] holds; None for any other bundle."""
    if bundle.origins.ndim != 3 or min(bundle.origins.shape[:2]) < 2 or "directions_norm" not in bundle.metadata:
        return None
    height, width = bundle.origins.shape[:2]
    eye = bundle.origins[0, 0]
    lengths = bundle.directions * bundle.metadata["directions_norm"]  # affine in the pixel, for a pinhole camera
    across = (lengths[0, -1] - lengths[0, 0]) / (width - 1)
    down = (lengths[-1, 0] - lengths[0, 0]) / (height - 1)
    if min(across.norm(), down.norm()) < 1e-9:
        return None
    columns, rows = torch.arange(width).to(eye), torch.arange(height).to(eye)
    straight = lengths[0, 0] + columns[None, :, None] * across + rows[:, None, None] * down
    if (bundle.origins - eye).abs().max() > STRAIGHT or (straight - lengths).abs().max() > STRAIGHT:
        return None
    fx, fy = 1 / across.norm(), 1 / down.norm()
    right, up = across * fx, -down * fy
    back = torch.linalg.cross(right, up)
    corner = lengths[0, 0]
    if (corner @ back + 1).abs() > STRAIGHT * 10 or (right @ up).abs() > STRAIGHT * 10:
        return None
    cx, cy = 0.5 - corner @ right * fx, 0.5 + corner @ up * fy
    c2w = torch.stack([right, up, back, eye], 1)
    return View(c2w[None], fx[None], fy[None], cx[None], cy[None], width=width, height=height)


@torch.no_grad()
def see_rays(scene: OneScene, bundle: RayBundle, sampling: SamplingConfig, colours: Colours) -> dict[str, Tensor]:
    """Render rays one by one: rgb on white, depth [world units], normals and accumulation, all [*ray, channel].

    Normals are in [0, 1], as nerfstudio's exporters take them. Where nothing is, depths are those of the far side of
    the box and beyond, as with methods whose rays have an end.
    """
    table, planes, occupied, _ = scene
    shape, device = bundle.origins.shape[:-1], planes.device
    origins, directions = (part.reshape(-1, 3).to(device) for part in (bundle.origins, bundle.directions))
    directions = normalize(directions, dim=-1)
    white = torch.ones(table.channels, device=device)
    parts = []
    for some in torch.arange(len(origins), device=device).split(sampling.rays_per_chunk):
        slot = torch.zeros_like(some)
        given = (origins[some], directions[some][:, None], -white, sampling, None, occupied)
        latent, opacity, depth = render_rays(table, planes, slot, *given)
        share = opacity.clamp(min=1e-6)[:, None]
        own = ((latent + 1) / share - 1).clamp(-1, 1)  # without the black behind
        rgb = colours(own) * opacity[:, None] + 1 - opacity[:, None]
        solid = opacity > SOLID
        normals = torch.zeros_like(rgb)
        normals[solid] = _normals(scene, (origins[some] + depth[:, None] * directions[some])[solid])
        parts.append((rgb, depth[:, None], (normals + 1) / 2, opacity[:, None]))
    rgb, depth, normals, accumulation = (torch.cat(part) for part in zip(*parts, strict=True))
    depth = torch.where(accumulation > SOLID, depth, _beyond(table.box, origins))
    named = {"rgb": rgb, "depth": depth, "normals": normals, "accumulation": accumulation}
    return {name: value.view(*shape, -1) for name, value in named.items()}


def _beyond(box: Float[Tensor, "2 3"], origins: Float[Tensor, "*ray 3"]) -> Float[Tensor, "*ray 1"]:
    """Give distances behind the box, from any side."""
    return (origins - box.mean(0)).norm(dim=-1, keepdim=True) + (box[1] - box[0]).norm()


def _normals(scene: OneScene, points: Float[Tensor, "ray 3"]) -> Float[Tensor, "ray 3"]:
    """Point to where density falls over the width of a plane's cell, as unit vectors."""
    table, planes, _, _ = scene
    step = torch.diag(table.box[1] - table.box[0]) / table.config.resolution / 2
    around = torch.stack([points[:, None] - step, points[:, None] + step], 1).view(-1, 3)
    slot = torch.zeros(len(around), dtype=torch.long, device=around.device)
    low, high = table.density(table.features(planes, around, slot)).view(-1, 2, 3).unbind(1)
    return normalize((low - high) / step.diagonal(), dim=-1)
