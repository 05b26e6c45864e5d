"""Images of any depth with 8 bits a channel, their transparent colour as alpha."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tda_nerfstudio.atlas.image_errors import UNREADABLE

_DEPTH = 24  # the byte of a PNG file that holds its bits a channel


def eight_bits(image: Image.Image, data: bytes) -> Image.Image:
    """Decode an opened image, given its file's bytes too. Raises ValueError for those that are never read.

    PIL clips 16-bit grey at 255 when it converts, and compares decoded pixels with a PNG's transparent colour as the
    file has it, at another depth.
    """
    image.load()
    key = image.info.get("transparency")
    if image.mode in UNREADABLE:
        raise ValueError(UNREADABLE[image.mode])
    if image.mode == "I" or image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.int64)
        grey = ((wide.clip(0, 65535) + 128) // 257).astype(np.uint8)
        if not isinstance(key, int):
            return Image.fromarray(grey)
        return Image.fromarray(np.stack([grey, np.where(wide == key, 0, 255).astype(np.uint8)], -1))
    if image.format == "PNG" and image.mode in ("L", "RGB") and key is not None:
        if data[_DEPTH] == 16:
            image.putalpha(Image.fromarray(_opaque(data)))
        elif data[_DEPTH] < 8 and isinstance(key, int):
            image.info["transparency"] = key * (255 // (2 ** data[_DEPTH] - 1))
    return image


def _opaque(data: bytes) -> np.ndarray:
    """Read where 16-bit colours, of which PIL keeps the upper half, are not the transparent one."""
    import cv2

    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3 or pixels.shape[2] != 4:
        raise ValueError("its transparent colour cannot be read")
    return np.where(pixels[..., 3] == 0, 0, 255).astype(np.uint8)
