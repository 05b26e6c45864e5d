"""Image files as pixels: cheap probes at the start, lazy reading later, always composited on white."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int, UInt8
from PIL import Image
from torch import Tensor

from tda_nerfstudio.atlas.background import on_white, premultiplied_on_white
from tda_nerfstudio.atlas.decoding import decode, decode_mask
from tda_nerfstudio.atlas.image_ends import PNG, is_whole
from tda_nerfstudio.atlas.image_errors import UNREADABLE, explained
from tda_nerfstudio.atlas.lenses import Lens
from tda_nerfstudio.atlas.resampling import resample, same_shape
from tda_nerfstudio.base.errors import TdaError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class Picture:
    """What a view's pixels are made from."""

    path: Path
    mask: Path | None = None
    """An image that is 0 where the picture becomes empty."""
    lens: Lens | None = None
    """The lens that took it, if it bends straight lines."""

    @property
    def is_plain(self) -> bool:
        """Whether the view shows the file's pixels as they are."""
        return self.mask is None and self.lens is None


def probe_image(path: Path, what: str = "Image") -> tuple[int, int]:
    """Return (width, height) from the header and check that the file ends as its format must, decoding nothing.

    Raises TdaError for a missing, foreign, truncated or huge file and for numbers that are no colours. A damaged
    body shows only when the image is read.
    """
    explain = explained(f"{what} {path}", "cannot be read", "Write it again as PNG or JPEG.")
    with explain, path.open("rb") as file:
        head, size = file.read(33), None
        if head.startswith(PNG) and head[12:16] == b"IHDR" and len(head) == 33:
            size = struct.unpack(">II", head[16:24])
        if size is None or size[0] * size[1] > 2 * (Image.MAX_IMAGE_PIXELS or math.inf):  # more is refused by PIL
            with Image.open(path) as image:
                size = image.size
                if what == "Image" and image.mode in UNREADABLE:
                    raise ValueError(UNREADABLE[image.mode])
        whole = is_whole(file, head)
    if not whole:
        raise TdaError(f"{what} {path} is truncated: its end marker is missing. Copy or render it again.")
    return size[0], size[1]


def read_image(source: Path | Picture, width: int, height: int) -> UInt8[Tensor, "height width 3"]:
    """Read one image as sRGB bytes, alpha composited in sRGB on white: rgb * a + (1 - a).

    Grayscale, palette and 16-bit images become 8-bit RGB. Pixels that a mask leaves out are white, a lens' distortion
    is undone, and an image of another size is resampled. Raises TdaError when the file cannot be decoded, or has not
    the shape of `width` x `height`.
    """
    picture = _picture(source)
    image = _decoded(picture, width, height)
    if not picture.is_plain or image.size != (width, height):
        pixels = _prepared(picture, image, width, height)
        return torch.from_numpy(premultiplied_on_white(pixels))
    if not image.has_transparency_data:
        return torch.from_numpy(np.array(image.convert("RGB")))
    return torch.from_numpy(on_white(np.asarray(image.convert("RGBA"))))


def read_alpha(source: Path | Picture, size: tuple[int, int] | None = None) -> UInt8[Tensor, "height width"] | None:
    """Read the opacity of one image, at its own size or (width, height), or None where it has neither alpha nor mask.

    Only wholly empty pixels are 0.
    """
    picture = _picture(source)
    image = decode(picture.path) if size is None else _decoded(picture, *size)
    if not image.has_transparency_data and picture.mask is None:
        return None
    if picture.is_plain and size in (None, image.size):
        return torch.from_numpy(np.array(image.convert("RGBA").getchannel("A")))
    pixels = _prepared(picture, image, *(size or image.size))
    return torch.from_numpy(np.ceil(pixels[..., 3] - 1e-3).clip(0, 255).astype(np.uint8))


class ImageStore:
    """Images of one size, each read when it is first asked for, and then kept as bytes by default."""

    def __init__(self, sources: Sequence[Path | Picture], width: int, height: int):
        self._sources = tuple(sources)
        self._size = (width, height)
        self._images: list[Tensor | None] = [None] * len(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    @property
    def bytes(self) -> int:
        """Memory in bytes once every image was read."""
        return len(self) * self._size[0] * self._size[1] * 3

    def get(self, indices: Sequence[int], keep: bool = True) -> UInt8[Tensor, "view height width 3"]:
        """Copy out some images, reading those that are not kept yet. Raises TdaError naming an unreadable file."""
        width, height = self._size
        images = torch.empty(len(indices), height, width, 3, dtype=torch.uint8)
        for row, index in enumerate(indices):
            if (image := self._images[index]) is None:
                image = read_image(self._sources[index], width, height)
                if keep:
                    self._images[index] = image
            images[row] = image
        return images

    def at(self, indices: Sequence[int], pixels: Int[Tensor, "view pixel"]) -> UInt8[Tensor, "view pixel 3"]:
        """Copy out some pixels of each of some images, by their row-major places, as `get` does whole images."""
        found = torch.empty(*pixels.shape, 3, dtype=torch.uint8)
        for row, index in enumerate(indices):
            if self._images[index] is None:
                self.get([index])
            image = self._images[index]
            assert image is not None
            found[row] = image.view(-1, 3)[pixels[row]]
        return found


def _picture(source: Path | Picture) -> Picture:
    return source if isinstance(source, Picture) else Picture(source)


def _decoded(picture: Picture, width: int, height: int) -> Image.Image:
    """Decode a picture that has the shape of the wanted size."""
    image = decode(picture.path)
    if not same_shape(image.size, (width, height)):
        raise TdaError(
            f"Image {picture.path} is {image.width} x {image.height}, expected {width} x {height}. Render it again."
        )
    return image


def _prepared(picture: Picture, image: Image.Image, width: int, height: int) -> Float32[np.ndarray, "height width 4"]:
    """Mask, undistort and resample, all on premultiplied colours, up to 255."""
    if not image.has_transparency_data:
        image = image.convert("RGB")  # from CMYK there is no way to RGBA
    pixels = np.array(image.convert("RGBA"), np.float32)
    if picture.mask is not None:
        kept = decode_mask(picture.mask)
        if not same_shape((kept.shape[1], kept.shape[0]), image.size):
            raise TdaError(
                f"Mask {picture.mask} is {kept.shape[1]} x {kept.shape[0]}, its image {image.width} x {image.height}."
                " Make it of one size with its image."
            )
        pixels[..., 3] *= np.asarray(Image.fromarray(kept).resize(image.size, Image.Resampling.NEAREST))
    pixels[..., :3] *= pixels[..., 3:] / 255
    if picture.lens is not None:
        pixels = picture.lens.undistort(pixels)
    return resample(pixels, width, height)
