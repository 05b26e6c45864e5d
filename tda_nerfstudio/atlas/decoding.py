"""Image files as 8-bit pixels, and mask files as what they keep."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from PIL import Image

from tda_nerfstudio.atlas.eight_bits import eight_bits
from tda_nerfstudio.atlas.image_errors import DECODE_ERRORS, reason
from tda_nerfstudio.base.errors import TdaError


def decode(path: Path) -> Image.Image:
    """Decode a file to 8 bits a channel; a colour that its header calls transparent is so, at any depth.

    Raises TdaError when that cannot be done.
    """
    with _named("Image", path):
        return eight_bits(*_opened(path))


def decode_mask(path: Path) -> Bool[np.ndarray, "height width"]:
    """Decode a mask: what is neither 0 nor transparent is kept. Raises TdaError when that cannot be done."""
    with _named("Mask", path):
        image, _ = _opened(path)
        if len(image.getbands()) == 1 and image.mode != "P":  # a palette's numbers are no brightness
            return np.asarray(image) > 0
        kept = np.asarray(image.convert("L")) > 0
        return kept & (np.asarray(image.convert("RGBA"))[..., 3] > 0) if image.has_transparency_data else kept


def _opened(path: Path) -> tuple[Image.Image, bytes]:
    """Open a file, read once, after a PNG's checksums: decoding alone lets one damaged byte in eight pass."""
    data = path.read_bytes()
    Image.open(io.BytesIO(data)).verify()
    return Image.open(io.BytesIO(data)), data


@contextmanager
def _named(what: str, path: Path) -> Iterator[None]:
    """Turn whatever goes wrong into a TdaError that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise TdaError(f"{what} {path} is missing. Restore it, or remove its frame.") from None
    except DECODE_ERRORS as error:
        raise TdaError(f"{what} {path} cannot be decoded ({reason(error)}). Copy or render it again.") from error
