"""Showing a scene: rendered and decoded images, latents, depth, normals and accumulation of an image size."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import interpolate, pixel_shuffle

from tda_nerfstudio.core.cameras import View, grid_size, pixel_centres
from tda_nerfstudio.core.enlarging import edge_opacity, enlarge, recomposed
from tda_nerfstudio.core.normals import depth_normals
from tda_nerfstudio.core.objective import Codec
from tda_nerfstudio.core.palette import Palette, plain_palette
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.rendering import Rendering, render_views
from tda_nerfstudio.core.scenes import LatentScenes

OUTPUTS = ("rgb", "latent", "depth", "normals", "accumulation")
"""Names of what can be shown of a scene."""
SOLID = 0.5
"""Opacity from which a ray counts as ending at the scene."""
OneScene: TypeAlias = tuple[LatentScenes, Tensor, Tensor, Codec]
"""One scene of a table, as `march` and `show` take it: the table, its fused planes, where it is occupied, the codec."""


def one_scene(scenes: LatentScenes, row: int, codec: Codec) -> OneScene:
    """Take one scene out of a table, to be rendered."""
    index = torch.tensor([row], device=scenes.box.device)
    return scenes, scenes.planes(index), scenes.occupied[index], codec


@torch.no_grad()
def march(
    scenes: LatentScenes,
    planes: Float[Tensor, "1 3 R R F"],
    occupied: Bool[Tensor, "1 G G G"],
    codec: Codec,
    view: View,
    height: int,
    width: int,
    sampling: SamplingConfig,
    side: int | None = None,
) -> Rendering:
    """Render all latent pixels that cover an image of `height` x `width`, without jitter: rows [view * h * w, ...].

    A latent pixel has side x side rays, by default as many as `sampling` says.
    """
    h, w = grid_size(height, width, codec.f)
    views, device = len(view.fx), planes.device
    centres = pixel_centres(h, w, device).expand(views, -1, -1)
    slot = torch.zeros(views, dtype=torch.long, device=device)
    given = (scenes, planes, slot, view, centres, codec.f, codec.background, sampling)
    return render_views(*given, occupied=occupied, side=side)


@torch.no_grad()
def decode(codec: Codec, rendering: Rendering, height: int, width: int) -> Float[Tensor, "view 3 height width"]:
    """Decode what `march` rendered for this image size, to images in [0, 1]."""
    h, w = grid_size(height, width, codec.f)
    latents = rendering.latent.view(-1, h, w, codec.channels).permute(0, 3, 1, 2)
    return codec.decode(codec.denormalise(latents))[..., :height, :width].clamp(0, 1)


@torch.no_grad()
def reconstruct(
    codec: Codec, images: Float[Tensor, "view 3 height width"]
) -> tuple[Float[Tensor, "view channel h w"], Float[Tensor, "view 3 height width"]]:
    """Encode and decode images in [0, 1]: their normalised latents, and the best images that a scene could show."""
    (height, width), z = images.shape[-2:], codec.encode(images)
    return codec.normalise(z), codec.decode(z)[..., :height, :width].clamp(0, 1)


@torch.no_grad()
def show(
    scenes: LatentScenes,
    planes: Float[Tensor, "1 3 R R F"],
    occupied: Bool[Tensor, "1 G G G"],
    codec: Codec,
    view: View,
    height: int,
    width: int,
    sampling: SamplingConfig,
    focal: float | None,
    names: Collection[str] = OUTPUTS,
    palette: Palette | None = None,
    quick: bool = False,
) -> dict[str, Float[Tensor, "view channel height width"]]:
    """Show views of one scene at an image size: rgb, latent and accumulation in [0, 1], depth in world units.

    Depth is 0 where nothing is, normals are unit vectors of the world frame, mapped from [-1, 1] to [0, 1]; latents are
    colours of the palette; the latter two have white behind them. `focal` is the focal length, in pixels, of the
    training images. The decoder is trained for latents of that scale, so a camera with a longer focal length (for a
    large window) is rendered with `focal` and the result is enlarged; its silhouette is rendered anew. A `quick` look
    has half that focal length, one ray a part of a latent pixel, and no silhouette of its own.
    """
    scene = (scenes, planes, occupied)
    native = focal and (focal / 2 if quick else focal)
    shrink = [max(fx / native, 1.0) if native else 1.0 for fx in view.fx.tolist()]
    sizes = [(max(round(height / s), 1), max(round(width / s), 1)) for s in shrink]
    shown: dict[str, Tensor] = {}
    for rows, columns in dict.fromkeys(sizes):
        chosen = [i for i, size in enumerate(sizes) if size == (rows, columns)]
        some, small = view[chosen], view[chosen].scaled(columns / width, rows / height)
        out = march(*scene, codec, small, rows, columns, sampling, codec.sub if quick else None)
        images = _images(scenes, codec, out, small, rows, columns, names, palette)
        if (rows, columns) != (height, width) and not quick and {"rgb", "accumulation"} & images.keys():
            opacity = _cover(out.opacity, codec, rows, columns)
            sharp = edge_opacity(scene, some, opacity, height, width, sampling)
            if "rgb" in images:
                images["rgb"] = recomposed(images["rgb"], opacity, sharp)
            if "accumulation" in images:
                images["accumulation"] = sharp
        for name, image in images.items():
            full = enlarge(image, height, width) if name == "rgb" else _repeated(image, height, width)
            shown.setdefault(name, full.new_empty(len(sizes), *full.shape[1:]))[chosen] = full
    return shown


def _images(
    scenes: LatentScenes,
    codec: Codec,
    out: Rendering,
    view: View,
    rows: int,
    columns: int,
    names: Collection[str],
    palette: Palette | None,
) -> dict[str, Float[Tensor, "view channel rows columns"]]:
    """Arrange what `march` rendered as images of its size, `rows` x `columns`."""
    solid, images = out.opacity > SOLID, {}
    for name in names:
        if name == "rgb":
            images[name] = decode(codec, out, rows, columns)
        elif name == "accumulation":
            images[name] = _cover(out.opacity, codec, rows, columns)
        elif name == "depth":
            images[name] = _cover(out.depth * solid, codec, rows, columns, "nearest")
        elif name == "normals":
            images[name] = _normals(out.depth * solid, codec, view, rows, columns)
        elif name == "latent":
            images[name] = _latent(scenes, codec, out, rows, columns, palette)
    return images


def _grid(values: Float[Tensor, "pixel channel*part"], codec: Codec, rows: int, columns: int, parts: int) -> Tensor:
    """Arrange latent pixels as an image that has parts x parts values of each: [view, channel, h parts, w parts]."""
    h, w = grid_size(rows, columns, codec.f)
    return pixel_shuffle(values.view(-1, h, w, values.shape[-1]).permute(0, 3, 1, 2), parts)


def _cover(
    values: Float[Tensor, "pixel ray"], codec: Codec, rows: int, columns: int, mode: str = "area"
) -> Float[Tensor, "view 1 rows columns"]:
    """Arrange what rays of latent pixels see as an image; a pixel of it takes the mean of its rays, or the nearest."""
    image = _grid(values, codec, rows, columns, math.isqrt(values.shape[-1]))
    h, w = grid_size(rows, columns, codec.f)
    size = (h * codec.f, w * codec.f)
    return (image if image.shape[-2:] == size else interpolate(image, size, mode=mode))[..., :rows, :columns]


def _normals(
    depth: Float[Tensor, "pixel ray"], codec: Codec, view: View, rows: int, columns: int
) -> Float[Tensor, "view 3 rows columns"]:
    """Compute normals where the rays are, as colours on white."""
    side = math.isqrt(depth.shape[-1])
    normals = depth_normals(_grid(depth, codec, rows, columns, side), view.scaled(side / codec.f, side / codec.f))
    empty = normals.abs().sum(1, keepdim=True) == 0
    colours = ((normals + 1) / 2).masked_fill(empty, 1.0)
    factor = codec.f / side
    return interpolate(colours, scale_factor=factor, mode="nearest")[..., :rows, :columns]


def _latent(
    scenes: LatentScenes, codec: Codec, out: Rendering, rows: int, columns: int, palette: Palette | None
) -> Float[Tensor, "view 3 rows columns"]:
    """Show the latents of parts in colours, on white."""
    sub = math.isqrt(codec.channels // scenes.channels)
    latent = _grid(out.latent, codec, rows, columns, sub)
    colours = palette or plain_palette(scenes.channels, latent)
    empty = pixel_shuffle(codec.background.view(1, -1, 1, 1), sub)
    seen, behind = (colours(part.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) for part in (latent, empty))
    opacity = _grid(out.opacity, codec, rows, columns, math.isqrt(out.opacity.shape[-1]))
    opacity = interpolate(opacity, seen.shape[-2:], mode="area")
    behind = behind.repeat(1, 1, seen.shape[-2] // sub, seen.shape[-1] // sub)
    image = (seen + (1 - opacity) * (1 - behind)).clamp(0, 1)  # white takes the place of the latent background
    return interpolate(image, scale_factor=codec.f / sub, mode="nearest")[..., :rows, :columns]


def _repeated(image: Float[Tensor, "view channel h w"], height: int, width: int) -> Tensor:
    return image if image.shape[-2:] == (height, width) else interpolate(image, (height, width), mode="nearest")
