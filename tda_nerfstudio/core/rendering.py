"""Volume rendering of latent scenes: from cameras to latent images (R(T, p), Sec. 3 of 2403.11678)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tda_nerfstudio.core import cameras, compositing, ray_sampling
from tda_nerfstudio.core.occupancy import clip_to_occupied
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.scenes import LatentScenes


class Rendering(NamedTuple):
    """What rays see. Of views, latents are those of latent pixels; opacity and depth are [pixel, ray]."""

    latent: Float[Tensor, "ray channel"]
    """Normalised, in (-1, 1), over the background."""
    opacity: Float[Tensor, "*ray"]
    """In [0, 1]."""
    depth: Float[Tensor, "*ray"]
    """Mean distance from the camera of what is seen, in world units; 0 where nothing is."""


def clip(
    scenes: LatentScenes,
    slot: Int[Tensor, " ray"],
    origins: Float[Tensor, "ray 3"],
    directions: Float[Tensor, "ray 3"],
    occupied: Bool[Tensor, "scene G G G"] | None = None,
    explore: Bool[Tensor, " ray"] | None = None,
) -> tuple[Int[Tensor, " met"], Float[Tensor, " met"], Float[Tensor, " met"]]:
    """Find the rays that meet the box and an occupied cell in it: their indices, near and far in world units.

    Rays that `explore` need no occupied cell and keep their whole way through the box.
    """
    near, far, hit = cameras.clip_to_box(origins, directions, scenes.box)
    index = hit.nonzero()[:, 0]
    near, far = near[index], far[index]
    if occupied is None or not len(index):
        return index, near, far
    origins, directions = origins[index], directions[index]
    start, end = (scenes.unit(origins + at[:, None] * directions) for at in (near, far))
    first, last, met = clip_to_occupied(occupied, slot[index], start, end)
    if explore is not None:
        whole = explore[index]
        first, last, met = first.masked_fill(whole, 0.0), last.masked_fill(whole, 1.0), met | whole
    near, far = torch.lerp(near, far, first), torch.lerp(near, far, last)
    return index[met], near[met], far[met]


def render_rays(
    scenes: LatentScenes,
    planes: Float[Tensor, "scene 3 R R F"],
    slot: Int[Tensor, " bundle"],
    origins: Float[Tensor, "bundle 3"],
    directions: Float[Tensor, "bundle ray 3"],
    background: Float[Tensor, " channel"],
    sampling: SamplingConfig,
    jitter: Float[Tensor, "bundle ray fine"] | None = None,
    occupied: Bool[Tensor, "scene G G G"] | None = None,
    explore: Bool[Tensor, " bundle"] | None = None,
) -> Rendering:
    """Render bundles of neighbouring rays over a background in (-1, 1), as rows [bundle * ray, ...].

    `planes` are the fused planes, `slot` each bundle's scene among them. Origins and directions are in the world frame,
    directions of unit length. A bundle has one coarse pass, along its middle, without colour and without gradient: it
    places the samples of its rays' fine passes. Bundles that miss the box, or its occupied cells if these are given,
    cost nothing (see `clip`).
    """
    middle = torch.nn.functional.normalize(directions.mean(1), dim=-1)
    index, near, far = clip(scenes, slot, origins, middle, occupied, explore)
    (count, rays), background = directions.shape[:2], (background + 1) / 2
    latent = background.expand(count, rays, -1)
    opacity = depth = origins.new_zeros(count, rays)
    if len(index):
        origins, directions, middle, slot = origins[index], directions[index], middle[index], slot[index]
        scale = scenes.length_scale()

        def look(at: Float[Tensor, "bundle ray sample"], along: Float[Tensor, "bundle ray 3"]) -> Tensor:
            points = origins[:, None, None] + at[..., None] * along[:, :, None]
            return scenes.features(planes, points.view(-1, 3), slot.repeat_interleave(at.shape[1:].numel()))

        edges = ray_sampling.even_edges(near, far, sampling.coarse)
        with torch.no_grad():
            density = scenes.density(look(ray_sampling.place(edges)[:, None], middle[:, None])).view(len(index), -1)
            weights = compositing.ray_weights(density, edges.diff(dim=1) * scale)
            edges = ray_sampling.importance_edges(edges, weights, sampling.fine)[:, None].expand(-1, rays, -1)
            at = ray_sampling.place(edges, None if jitter is None else jitter[index])
        density, colour = scenes.density_and_colour(look(at, directions))
        weights = compositing.ray_weights(density.view(at.shape).flatten(0, 1), edges.flatten(0, 1).diff(dim=1) * scale)
        seen, hit_opacity = compositing.composite(weights, colour.view(*weights.shape, -1), background)
        latent = latent.index_copy(0, index, seen.view(-1, rays, seen.shape[-1]))
        opacity = opacity.index_copy(0, index, hit_opacity.view(-1, rays))
        ends = (weights * at.flatten(0, 1)).sum(1) / hit_opacity.clamp(min=1e-6)
        depth = depth.index_copy(0, index, ends.view(-1, rays))
    return Rendering(2 * latent.flatten(0, 1) - 1, opacity.flatten(), depth.flatten())


def pixels_width(view: cameras.View, count: float, box: Float[Tensor, "2 3"]) -> Float[Tensor, " view"]:
    """Return the width, in world units, that so many image pixels have in the middle of a box."""
    return count * (view.c2w[:, :, 3] - box.mean(0)).norm(dim=-1) / view.fx


def _each(wide: Bool[Tensor, " view"], render: Callable[[Tensor], Rendering]) -> Rendering:
    """Render two kinds of views apart, and put their rows back in order."""
    order = torch.cat([wide.nonzero()[:, 0], (~wide).nonzero()[:, 0]])
    parts = zip(render(order[: int(wide.sum())]), render(order[int(wide.sum()) :]), strict=True)
    rows = [torch.cat(part).view(len(wide), -1, *part[0].shape[1:])[order.argsort()].flatten(0, 1) for part in parts]
    return Rendering(*rows)


def bundled(rays: Tensor, side: int, together: int) -> Tensor:
    """Arrange side x side rays, [pixel, ray, ...] in row-major order, by bundles: [pixel, bundle, ray, ...]."""
    across = side // together
    grid = rays.view(len(rays), across, together, across, together, *rays.shape[2:])
    return grid.transpose(2, 3).reshape(len(rays), across**2, together**2, *rays.shape[2:])


def unbundled(rays: Tensor, side: int, together: int) -> Tensor:
    """Invert `bundled`: [pixel, bundle, ray, ...] to [pixel, ray, ...] in row-major order."""
    across = side // together
    grid = rays.view(len(rays), across, across, together, together, *rays.shape[3:])
    return grid.transpose(2, 3).reshape(len(rays), side**2, *rays.shape[3:])


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
    f: float,
    background: Float[Tensor, " channel"] | Float[Tensor, "view pixel channel"],
    sampling: SamplingConfig,
    generators: Sequence[torch.Generator] = (),
    occupied: Bool[Tensor, "scene G G G"] | None = None,
    side: int | None = None,
) -> Rendering:
    """Render latent pixels of several views: rows [view * pixel, C], averaged over the area of each part.

    Opacity and depth are those of single rays, [view * pixel, side * side] in row-major order.

    `slot` is each view's scene among `planes`, `centres` are in latent pixels, and the background has all C channels,
    in (-1, 1), for every pixel or for each. With CPU generators, one for each equal share of the views, as in training,
    samples are jittered and some pixels explore; without, the result is deterministic. A pixel has side x side rays, by
    default as many as `sampling` says.
    """
    given = (f, background, sampling, generators, occupied, side)
    device, (views, pixels), channels = centres.device, centres.shape[:2], scenes.channels
    sub = math.isqrt(background.shape[-1] // channels)
    side, noise, jitter, explore = side or sampling.rays(sub, bool(generators)), None, None, None
    together = sampling.together(side)
    wide = pixels_width(view, f * together / side, scenes.box) > scenes.cell_side()
    if wide.any() and not wide.all() and not generators:
        return _each(wide, lambda own: render_views(scenes, planes, slot[own], view[own], centres[own], *given))
    if wide.any():
        together = 1  # what is thinner than a bundle would be lost
    bundles = (side // together) ** 2

    def draw(*shape: int) -> Tensor:
        each = [torch.rand((views // len(generators), *shape), generator=own) for own in generators]
        return torch.cat(each).to(device)

    if generators:
        if sampling.jitter:
            noise = draw(pixels, side * side, 2)
        jitter = draw(pixels * bundles, together**2, sampling.fine).flatten(0, 1)
        if occupied is not None:
            explore = (draw(pixels) < sampling.explore).flatten().repeat_interleave(bundles)
    origins, directions = cameras.rays(view, jittered_pixels(centres, side, noise), f)
    directions = bundled(directions.view(views * pixels, side**2, 3), side, together).flatten(0, 1)
    origins = origins[:, :: together**2].reshape(-1, 3)  # those of a view are all the same
    slot = slot.repeat_interleave(pixels * bundles)
    black = -background.new_ones(channels)  # each part has its own background, which is added last
    if generators:
        out = render_rays(scenes, planes, slot, origins, directions, black, sampling, jitter, occupied, explore)
    else:
        size = max(sampling.rays_per_chunk // together**2, 1)
        chunks = zip(slot.split(size), origins.split(size), directions.split(size), strict=True)
        parts = [render_rays(scenes, planes, s, o, d, black, sampling, None, occupied) for s, o, d in chunks]
        out = Rendering(*(torch.cat(part) for part in zip(*parts, strict=True)))
    light, opacity, depth = (
        unbundled(part.view(views * pixels, bundles, together**2, -1), side, together) for part in out
    )
    behind = (1 - assemble(opacity, sub)) * (background + 1).view(-1, channels, sub**2)
    return Rendering((assemble(light + 1, sub) + behind - 1).flatten(1), opacity[..., 0], depth[..., 0])
