"""Image files as 8-bit pixels, and mask files as the pixels that they keep."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from tda_nerfstudio.atlas.image_errors import UNREADABLE, explained

_DEPTH = 24  # the byte of a PNG file that holds its bits a channel
_FAILURE = ("cannot be decoded", "Copy or render it again.")


def decode(path: Path) -> Image.Image:
    """Decode a file to 8 bits a channel; a colour that its header calls transparent is so, at any depth.

    Raises TdaError when that cannot be done.
    """
    with explained(f"Image {path}", *_FAILURE):
        return eight_bits(*_opened(path))


def decode_mask(path: Path) -> Bool[np.ndarray, "height width"]:
    """Decode a mask: pixels that are neither 0 nor transparent are kept. Raises TdaError when that cannot be done."""
    with explained(f"Mask {path}", *_FAILURE):
        image, _ = _opened(path)
        if len(image.getbands()) == 1 and image.mode != "P":  # a palette's numbers are no brightness
            return np.asarray(image) > 0
        kept = np.asarray(image.convert("L")) > 0
        return kept & (np.asarray(image.convert("RGBA"))[..., 3] > 0) if image.has_transparency_data else kept


def eight_bits(image: Image.Image, data: bytes) -> Image.Image:
    """Decode an opened image, whose file has the bytes `data`. Raises ValueError for kinds that are never read.

    PIL clips 16-bit grey at 255 when it converts. It compares a PNG's transparent colour, which has the file's depth,
    with pixels that it has already brought to another depth.
    """
    image.load()
    key = image.info.get("transparency")
    if image.mode in UNREADABLE:
        raise ValueError(UNREADABLE[image.mode])
    if image.mode == "I" or image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.int64)
        grey = ((wide.clip(0, 65535) + 128) // 257).astype(np.uint8)
        opaque = (wide != key).astype(np.uint8) * 255
        return Image.fromarray(np.stack([grey, opaque], -1) if isinstance(key, int) else grey)
    if image.format == "PNG" and image.mode in ("L", "RGB") and key is not None:
        if data[_DEPTH] == 16:
            image.putalpha(Image.fromarray(_alpha(data)))
        elif data[_DEPTH] < 8 and isinstance(key, int):
            image.info["transparency"] = key * (255 // (2 ** data[_DEPTH] - 1))
    return image


def _opened(path: Path) -> tuple[Image.Image, bytes]:
    """Open a file that is read once. Verify a PNG's checksums first: decoding misses one damaged byte in eight."""
    data = path.read_bytes()
    Image.open(io.BytesIO(data)).verify()
    return Image.open(io.BytesIO(data)), data


def _alpha(data: bytes) -> UInt8[np.ndarray, "height width"]:
    """Find the transparent pixels of a 16-bit PNG: PIL keeps only the upper half of its colours."""
    import cv2

    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3 or pixels.shape[2] != 4:
        raise ValueError("its transparent colour cannot be read")
    return (pixels[..., 3] != 0).astype(np.uint8) * 255
