"""Showing a scene: rendered and decoded images, latents, depth and accumulation of an image size."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import interpolate, pixel_shuffle

from tda_nerfstudio.core.cameras import View, grid_size, pixel_centres
from tda_nerfstudio.core.objective import Codec
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.rendering import Rendering, render_views
from tda_nerfstudio.core.scenes import LatentScenes

OUTPUTS = ("rgb", "latent", "depth", "accumulation")
"""Names of what can be shown of a scene."""
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
) -> Rendering:
    """Render all latent pixels that cover an image of `height` x `width`, without jitter: rows [view * h * w, ...]."""
    h, w = grid_size(height, width, codec.f)
    views, device = len(view.fx), planes.device
    centres = pixel_centres(h, w, device).expand(views, -1, -1)
    slot = torch.zeros(views, dtype=torch.long, device=device)
    return render_views(scenes, planes, slot, view, centres, codec.f, codec.background, sampling, occupied=occupied)


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
) -> dict[str, Float[Tensor, "view channel height width"]]:
    """Show views of one scene at an image size: rgb, latent and accumulation in [0, 1], depth in world units.

    `focal` is the focal length, in pixels, of the training images. The decoder is trained for latents of that scale, so
    a camera with a longer focal length (for a large window) is rendered with `focal` and the result is enlarged. The
    latent has the channels of one part of a latent pixel; if there are two, the second is repeated to make an image.
    """
    shrink = [max(fx / focal, 1.0) if focal else 1.0 for fx in view.fx.tolist()]
    sizes = [(max(round(height / s), 1), max(round(width / s), 1)) for s in shrink]
    shown: dict[str, Tensor] = {}
    for rows, columns in dict.fromkeys(sizes):
        chosen = [i for i, size in enumerate(sizes) if size == (rows, columns)]
        some, across, down = view[chosen], columns / width, rows / height
        small = View(some.c2w, some.fx * across, some.fy * down, some.cx * across, some.cy * down)
        out = march(scenes, planes, occupied, codec, small, rows, columns, sampling)
        images = _images(codec, out, rows, columns, math.isqrt(codec.channels // scenes.channels), names)
        for name, image in images.items():
            full = _resize(image, height, width, "bilinear" if name == "rgb" else "nearest")
            shown.setdefault(name, full.new_empty(len(sizes), *full.shape[1:]))[chosen] = full
    return shown


def _images(
    codec: Codec, out: Rendering, rows: int, columns: int, sub: int, names: Collection[str]
) -> dict[str, Float[Tensor, "view channel rows columns"]]:
    """Arrange what `march` rendered as images of its size, `rows` x `columns`."""
    h, w = grid_size(rows, columns, codec.f)

    def spread(values: Float[Tensor, "pixel channel"], parts: int = 1) -> Tensor:
        image = pixel_shuffle(values.view(-1, h, w, values.shape[-1]).permute(0, 3, 1, 2), parts)
        return interpolate(image, scale_factor=codec.f / parts, mode="nearest")[..., :rows, :columns]

    images = {}
    for name in names:
        if name == "rgb":
            images[name] = decode(codec, out, rows, columns)
        elif name == "latent":
            latent = spread((out.latent + 1) / 2, sub).clamp(0, 1)
            images[name] = latent[:, [0, 1, 1]] if latent.shape[1] == 2 else latent
        else:
            images[name] = spread((out.depth if name == "depth" else out.opacity)[:, None])
    return images


def _resize(image: Float[Tensor, "view channel h w"], height: int, width: int, mode: str) -> Tensor:
    if image.shape[-2:] == (height, width):
        return image
    return interpolate(image, (height, width), mode=mode, align_corners=False if mode == "bilinear" else None)
