"""Textures of models: decoded with care, kept as pyramids of 8-bit sRGB, looked up in linear light."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

from tda_nerfstudio.atlas.decoding import eight_bits
from tda_nerfstudio.atlas.image_errors import explained
from tda_nerfstudio.making.srgb import LINEAR, to_srgb

MAX_SIDE = 1024
"""Larger textures are reduced to this."""
REPEAT, CLAMP, MIRROR = range(3)
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TGA", "TIFF", "GIF")


class Texture(NamedTuple):
    """An sRGB image with straight alpha; (0, 0) in texture coordinates is its upper left corner."""

    pixels: UInt8[np.ndarray, "height width 4"]
    wrap: tuple[int, int] = (REPEAT, REPEAT)
    """What lies beyond [0, 1] across and down."""
    smooth: bool = True


def open_texture(data: bytes, what: str) -> Image.Image:
    """Read an image's header; raises TdaError that begins with `what` for anything else."""
    ignored = warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning)
    with explained(what, "cannot be read", "Export it as PNG or JPEG."), ignored:
        return Image.open(io.BytesIO(data), formats=_FORMATS)


def read_pixels(image: Image.Image, data: bytes, what: str) -> UInt8[np.ndarray, "height width 4"]:
    """Decode an image whose header was read from `data`, at most MAX_SIDE wide and high."""
    with explained(what, "cannot be decoded", "Export it again."):
        image = eight_bits(image, data)
        image = image.convert("RGBA") if image.has_transparency_data else image
        image = image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGBA")
        factor = -(-max(image.size) // MAX_SIDE)
        return np.array((image.reduce(factor) if factor > 1 else image).convert("RGBA"))


class Pyramids:
    """Textures with all their reductions by 2, in one table, so that one look-up serves any of them at any size."""

    def __init__(self, textures: Sequence[Texture]) -> None:
        levels = [_pyramid(texture.pixels) for texture in textures]
        deepest = max(map(len, levels))
        padded = [[*stack, *[stack[-1]] * (deepest - len(stack))] for stack in levels]
        self._sizes = np.array([[texels.shape[1::-1] for texels in stack] for stack in padded])
        counts = self._sizes.prod(-1)
        self._starts = (counts.cumsum() - counts.ravel()).reshape(counts.shape)
        self._texels = np.concatenate([texels.reshape(-1, 4) for stack in padded for texels in stack])
        self._deepest = deepest - 1
        self._wraps = np.array([texture.wrap for texture in textures])
        self._smooth = np.array([texture.smooth for texture in textures])

    def look_up(
        self, texture: Int[np.ndarray, " hit"], uv: Float[np.ndarray, "hit 2"], footprint: Float[np.ndarray, " hit"]
    ) -> Float[np.ndarray, "hit 4"]:
        """Give linear colours with straight alpha, averaged over about `footprint`, a length in texture coordinates."""
        texels = np.maximum(footprint, 1e-12) * np.sqrt(self._sizes[texture, 0].prod(-1))
        level = np.clip(np.floor(np.log2(texels)), 0, self._deepest).astype(int)
        size, wrap = self._sizes[texture, level], self._wraps[texture]
        uv = np.where(wrap == MIRROR, 1 - np.abs(uv % 2 - 1), uv)
        at = np.clip(uv, -1e6, 1e6) * size - 0.5
        low = np.floor(at).astype(int)
        share = at - low
        share = np.where(self._smooth[texture, None], share, share >= 0.5).astype(np.float32)
        ends = np.stack([low, low + 1])
        ends = np.where(wrap == REPEAT, ends % size, np.clip(ends, 0, size - 1))
        start, width = self._starts[texture, level], size[:, 0]
        total = np.zeros((len(at), 4), np.float32)
        for i in (0, 1):
            for j in (0, 1):
                texel = self._texels[start + ends[j, :, 1] * width + ends[i, :, 0]]
                weight = np.abs(1 - i - share[:, 0]) * np.abs(1 - j - share[:, 1]) * texel[:, 3] / 255
                total[:, :3] += weight[:, None] * LINEAR[texel[:, :3]]
                total[:, 3] += weight
        total[:, :3] /= np.maximum(total[:, 3:], 1e-6)
        return total


def _pyramid(pixels: UInt8[np.ndarray, "height width 4"]) -> list[UInt8[np.ndarray, "height width 4"]]:
    """Halve down to one texel, averaging linear light weighted by alpha."""
    levels = [pixels]
    alpha = pixels[..., 3:] / np.float32(255)
    light = np.concatenate([LINEAR[pixels[..., :3]] * alpha, alpha], -1)
    while light.shape[:2] != (1, 1):
        height, width = light.shape[:2]
        light = np.pad(light, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        light = light.reshape(-(-height // 2), 2, -(-width // 2), 2, 4).mean((1, 3))
        colour = to_srgb(light[..., :3] / np.maximum(light[..., 3:], 1e-6))
        levels.append(np.rint(np.concatenate([colour, light[..., 3:]], -1) * 255).astype(np.uint8))
    return levels
