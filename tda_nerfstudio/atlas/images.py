"""Image files as pixels: cheap probes at the start, lazy reading later, always composited on white."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from tda_nerfstudio.atlas.image_errors import DECODE_ERRORS, reason
from tda_nerfstudio.core.errors import TdaError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_TAIL = 1024  # the end marker is looked for here: some writers append a few bytes after it


def probe_image(path: Path) -> tuple[int, int]:
    """Return (width, height) from the header and check that the file ends as its format must, decoding nothing.

    Raises TdaError for a missing, foreign or truncated file. A damaged body shows only when the image is read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(33)
            file.seek(max(0, file.seek(0, 2) - _TAIL))
            tail = file.read()
        if head.startswith(_PNG) and head[12:16] == b"IHDR" and len(head) == 33:
            size, end = struct.unpack(">II", head[16:24]), _PNG_END
        else:
            with Image.open(path) as image:
                size, end = image.size, _JPEG_END if head.startswith(_JPEG) else b""
    except FileNotFoundError:
        raise TdaError(f"Image {path} is missing. Restore it, or remove its frame.") from None
    except DECODE_ERRORS as error:
        raise TdaError(f"Image {path} cannot be read ({reason(error)}). Write it again as PNG or JPEG.") from error
    if end not in tail:
        raise TdaError(f"Image {path} is truncated: its end marker is missing. Copy or render it again.")
    return size[0], size[1]


def read_image(path: Path, width: int, height: int) -> UInt8[Tensor, "height width 3"]:
    """Read one image as sRGB bytes, alpha composited in sRGB on white: rgb * a + (1 - a).

    Grayscale, palette and 16-bit images become 8-bit RGB. Raises TdaError when the file cannot be decoded or is not
    `width` x `height`.
    """
    image = _decode(path)
    if image.size != (width, height):
        raise TdaError(f"Image {path} is {image.width} x {image.height}, expected {width} x {height}. Render it again.")
    if not image.has_transparency_data:
        return torch.from_numpy(np.array(image.convert("RGB")))
    return torch.from_numpy(on_white(np.asarray(image.convert("RGBA"))))


def on_white(rgba: UInt8[np.ndarray, "height width 4"]) -> UInt8[np.ndarray, "height width 3"]:
    """Composite straight alpha in sRGB on white: rgb * a + (1 - a)."""
    wide = rgba.astype(np.uint16)  # 255 * 255 + 127 still fits
    rgb, alpha = wide[..., :3], wide[..., 3:]
    return ((rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def read_alpha(path: Path) -> UInt8[Tensor, "height width"] | None:
    """Read the opacity of one image, or None where the file has none."""
    image = _decode(path)
    if not image.has_transparency_data:
        return None
    return torch.from_numpy(np.array(image.convert("RGBA").getchannel("A")))


class ImageStore:
    """Images of one size, each read when first asked for and then, unless told otherwise, kept as bytes."""

    def __init__(self, paths: Sequence[Path], width: int, height: int):
        self._paths = tuple(paths)
        self._size = (width, height)
        self._images: list[Tensor | None] = [None] * len(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    @property
    def bytes(self) -> int:
        """Memory in bytes once every image was read."""
        return len(self) * self._size[0] * self._size[1] * 3

    def get(self, indices: Sequence[int], keep: bool = True) -> UInt8[Tensor, "view height width 3"]:
        """Copy out some images, reading those that are not kept yet. Raises TdaError naming an unreadable file."""
        width, height = self._size
        images = torch.empty(len(indices), height, width, 3, dtype=torch.uint8)
        for row, index in enumerate(indices):
            images[row] = self._image(int(index), keep)
        return images

    def _image(self, index: int, keep: bool) -> UInt8[Tensor, "height width 3"]:
        image = self._images[index]
        if image is None:
            image = read_image(self._paths[index], *self._size)
            if keep:
                self._images[index] = image
        return image


def _decode(path: Path) -> Image.Image:
    """Decode a file and bring 16-bit gray, which PIL would clip at 255, down to 8 bits."""
    try:
        with Image.open(path) as image:
            image.verify()  # PNG's checksums: decoding alone lets one damaged byte in eight pass
        with Image.open(path) as image:
            image.load()
            if image.mode == "I" or image.mode.startswith("I;16"):
                wide = np.asarray(image).astype(np.int64)
                return Image.fromarray(((wide.clip(0, 65535) + 128) // 257).astype(np.uint8))
            if image.mode == "F":
                raise ValueError("it holds floating point numbers")
            return image
    except FileNotFoundError:
        raise TdaError(f"Image {path} is missing. Restore it, or remove its frame.") from None
    except DECODE_ERRORS as error:
        raise TdaError(f"Image {path} cannot be decoded ({reason(error)}). Copy or render it again.") from error
