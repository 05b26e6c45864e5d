"""Image files as 8-bit pixels, and mask files as what they keep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from tda_nerfstudio.atlas.image_errors import DECODE_ERRORS, reason
from tda_nerfstudio.core.errors import TdaError

_DEPTH = 24  # the byte of a PNG file that holds its bits a channel


def decode(path: Path) -> Image.Image:
    """Decode a file to 8 bits a channel; a colour that its header calls transparent is so, at any depth.

    Raises TdaError when that cannot be done.
    """
    with _named("Image", path):
        _verify(path)
        with Image.open(path) as image:
            image.load()
            if image.mode == "I" or image.mode.startswith("I;16"):
                return _grey(np.asarray(image).astype(np.int64), image.info.get("transparency"))
            if image.mode == "F":
                raise ValueError("it holds floating point numbers")
            return _keyed(image, path)


def decode_mask(path: Path) -> Bool[np.ndarray, "height width"]:
    """Decode a mask: what is not 0 is kept. Raises TdaError when that cannot be done."""
    with _named("Mask", path):
        _verify(path)
        with Image.open(path) as image:
            image.load()
            return np.asarray(image if len(image.getbands()) == 1 else image.convert("L")) > 0


def _verify(path: Path) -> None:
    """Check a PNG's checksums: decoding alone lets one damaged byte in eight pass."""
    with Image.open(path) as image:
        image.verify()


def _grey(wide: np.ndarray, key: object) -> Image.Image:
    """Bring 16-bit grey, which PIL would clip at 255, down to 8 bits."""
    grey = ((wide.clip(0, 65535) + 128) // 257).astype(np.uint8)
    if not isinstance(key, int):
        return Image.fromarray(grey)
    return Image.fromarray(np.stack([grey, np.where(wide == key, 0, 255).astype(np.uint8)], -1))


def _keyed(image: Image.Image, path: Path) -> Image.Image:
    """Make the transparent colour of a PNG comparable with its decoded pixels: PIL keeps it at the file's depth."""
    key = image.info.get("transparency")
    if image.format != "PNG" or image.mode not in ("L", "RGB") or key is None:
        return image
    with path.open("rb") as file:
        depth = file.read(_DEPTH + 1)[_DEPTH]
    if depth == 16:
        image.putalpha(Image.fromarray(_alpha(path)))
    elif depth < 8 and isinstance(key, int):
        image.info["transparency"] = key * (255 // (2**depth - 1))
    return image


def _alpha(path: Path) -> UInt8[np.ndarray, "height width"]:
    """Read what 16-bit colours, of which PIL keeps the upper half, are transparent."""
    import cv2

    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3 or pixels.shape[2] != 4:
        raise ValueError("its transparent colour cannot be read")
    return np.where(pixels[..., 3] == 0, 0, 255).astype(np.uint8)


@contextmanager
def _named(what: str, path: Path) -> Iterator[None]:
    """Turn whatever goes wrong into a TdaError that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise TdaError(f"{what} {path} is missing. Restore it, or remove its frame.") from None
    except DECODE_ERRORS as error:
        raise TdaError(f"{what} {path} cannot be decoded ({reason(error)}). Copy or render it again.") from error
