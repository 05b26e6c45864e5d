"""Volume rendering of latent scenes: from cameras to latent images (R(T, p), Sec. 3 of 2403.11678)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tda_nerfstudio.core import cameras, compositing, ray_sampling
from tda_nerfstudio.core.occupancy import clip_to_occupied
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.scenes import LatentScenes


class Rendering(NamedTuple):
    """What rays see: normalised latents in (-1, 1), opacity in [0, 1], and the mean depth in world units."""

    latent: Float[Tensor, "ray channel"]
    opacity: Float[Tensor, " ray"]
    depth: Float[Tensor, " ray"]


def clip(
    scenes: LatentScenes,
    slot: Int[Tensor, " ray"],
    origins: Float[Tensor, "ray 3"],
    directions: Float[Tensor, "ray 3"],
    occupied: Bool[Tensor, "scene G G G"] | None = None,
    explore: Bool[Tensor, " ray"] | None = None,
) -> tuple[Int[Tensor, " met"], Float[Tensor, " met"], Float[Tensor, " met"], Float[Tensor, " ray"]]:
    """Find the rays that meet the box and an occupied cell in it: their indices, near and far in world units.

    Rays that `explore` need no occupied cell and keep their whole way through the box. The last value is the distance
    at which each ray leaves the box, the depth of the background.
    """
    near, far, hit = cameras.clip_to_box(origins, directions, scenes.box)
    index, behind = hit.nonzero()[:, 0], far.clamp(min=0)
    near, far = near[index], far[index]
    if occupied is None or not len(index):
        return index, near, far, behind
    origins, directions = origins[index], directions[index]
    start, end = (scenes.unit(origins + at[:, None] * directions) for at in (near, far))
    first, last, met = clip_to_occupied(occupied, slot[index], start, end)
    if explore is not None:
        whole = explore[index]
        first, last, met = first.masked_fill(whole, 0.0), last.masked_fill(whole, 1.0), met | whole
    near, far = torch.lerp(near, far, first), torch.lerp(near, far, last)
    return index[met], near[met], far[met], behind


def render_rays(
    scenes: LatentScenes,
    planes: Float[Tensor, "scene 3 R R F"],
    slot: Int[Tensor, " ray"],
    origins: Float[Tensor, "ray 3"],
    directions: Float[Tensor, "ray 3"],
    background: Float[Tensor, " channel"],
    sampling: SamplingConfig,
    jitter: Float[Tensor, "ray fine"] | None = None,
    occupied: Bool[Tensor, "scene G G G"] | None = None,
    explore: Bool[Tensor, " ray"] | None = None,
) -> Rendering:
    """Render rays over a background in (-1, 1). `planes` are the fused planes, `slot` each ray's scene among them.

    Origins and directions are in the world frame, directions of unit length. Rays that miss the box, or its occupied
    cells if they are given, cost nothing (see `clip`). The coarse pass only places the samples of the fine pass: it has
    no colour and no gradient.
    """
    index, near, far, depth = clip(scenes, slot, origins, directions, occupied, explore)
    count, background = len(origins), (background + 1) / 2
    latent = background.expand(count, -1)
    opacity = origins.new_zeros(count)
    if len(index):
        origins, directions, slot = origins[index], directions[index], slot[index]
        scale = scenes.length_scale()

        def look(at: Float[Tensor, "ray sample"]) -> Tensor:
            points = origins[:, None] + at[..., None] * directions[:, None]
            return scenes.features(planes, points.view(-1, 3), slot.repeat_interleave(at.shape[1]))

        edges = ray_sampling.even_edges(near, far, sampling.coarse)
        with torch.no_grad():
            density = scenes.density(look(ray_sampling.place(edges))).view(len(index), -1)
            weights = compositing.ray_weights(density, edges.diff(dim=1) * scale)
            edges = ray_sampling.importance_edges(edges, weights, sampling.fine)
            at = ray_sampling.place(edges, None if jitter is None else jitter[index])
        density, colour = scenes.density_and_colour(look(at))
        weights = compositing.ray_weights(density.view(len(index), -1), edges.diff(dim=1) * scale)
        seen, hit_opacity = compositing.composite(weights, colour.view(*weights.shape, -1), background)
        latent = latent.index_copy(0, index, seen)
        opacity = opacity.index_copy(0, index, hit_opacity)
        ends = (weights * at).sum(1) + (1 - hit_opacity) * depth[index]
        depth = depth.index_copy(0, index, ends)
    return Rendering(2 * latent - 1, opacity, depth)


def jittered_pixels(
    centres: Float[Tensor, "view pixel 2"], side: int, noise: Float[Tensor, "view pixel sub 2"] | None
) -> Float[Tensor, "view ray 2"]:
    """Return positions (x, y) of side x side rays in each pixel: even, or by noise in [0, 1) anywhere in their part.

    In latent pixels, as the centres are.
    """
    offsets = cameras.footprint(side, centres.device).to(centres.dtype)
    positions = centres[:, :, None] + offsets
    if noise is not None:
        positions = positions + (noise - 0.5) / side
    return positions.flatten(1, 2)


def assemble(values: Float[Tensor, "pixel ray channel"], sub: int) -> Float[Tensor, "pixel channel part"]:
    """Average the rays of each latent pixel over each of its sub x sub parts; both are row-major.

    A pixel has side x side rays. If side is no multiple of sub, parts share rays.
    """
    pixels, count, channels = values.shape
    side = math.isqrt(count)
    grid = values.view(pixels, side, side, channels).permute(0, 3, 1, 2)
    if side % sub:
        grid = grid.repeat_interleave(sub, 2).repeat_interleave(sub, 3)
    each = grid.shape[-1] // sub
    return grid.reshape(pixels, channels, sub, each, sub, each).mean((3, 5)).flatten(2)


def render_views(
    scenes: LatentScenes,
    planes: Float[Tensor, "scene 3 R R F"],
    slot: Int[Tensor, " view"],
    view: cameras.View,
    centres: Float[Tensor, "view pixel 2"],
    f: int,
    background: Float[Tensor, " channel"],
    sampling: SamplingConfig,
    generators: Sequence[torch.Generator] = (),
    occupied: Bool[Tensor, "scene G G G"] | None = None,
) -> Rendering:
    """Render latent pixels of several views: rows [view * pixel, C], averaged over the area of each part.

    `slot` is each view's scene among `planes`, `centres` are in latent pixels, and the background has all C channels,
    in (-1, 1). With a CPU generator for each view, as in training, samples are jittered and some pixels explore;
    without, the result is deterministic.
    """
    device, (views, pixels), channels = centres.device, centres.shape[:2], scenes.channels
    sub = math.isqrt(len(background) // channels)
    side, noise, jitter, explore = sampling.rays(sub, bool(generators)), None, None, None

    def draw(*shape: int) -> Tensor:
        return torch.stack([torch.rand(shape, generator=own) for own in generators]).to(device)

    if generators:
        if sampling.jitter:
            noise = draw(pixels, side * side, 2)
        jitter = draw(pixels * side * side, sampling.fine).flatten(0, 1)
        if occupied is not None:
            explore = (draw(pixels) < sampling.explore).flatten().repeat_interleave(side * side)
    origins, directions = cameras.rays(view, jittered_pixels(centres, side, noise), f)
    slot, origins = slot.repeat_interleave(pixels * side * side), origins.reshape(-1, 3)
    directions = directions.reshape(-1, 3)
    black = -background.new_ones(channels)  # each part has its own background, which is added last
    if generators:
        out = render_rays(scenes, planes, slot, origins, directions, black, sampling, jitter, occupied, explore)
    else:
        size = sampling.rays_per_chunk
        chunks = zip(slot.split(size), origins.split(size), directions.split(size), strict=True)
        parts = [render_rays(scenes, planes, s, o, d, black, sampling, None, occupied) for s, o, d in chunks]
        out = Rendering(*(torch.cat(part) for part in zip(*parts, strict=True)))
    light, opacity, depth = (part.view(views * pixels, side * side, -1) for part in out)
    behind = (1 - assemble(opacity, sub)) * (background + 1).view(channels, -1)
    return Rendering((assemble(light + 1, sub) + behind - 1).flatten(1), opacity.mean((1, 2)), depth.mean((1, 2)))
