"""What can go wrong when an image is decoded, and how to say it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from tda_nerfstudio.base.errors import TdaError

UNREADABLE = {"F": "it holds floating point numbers", "LAB": "its colours are in CIELAB"}
"""Modes of images that are never read, and why."""
_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


@contextmanager
def explained(image: str, failure: str, advice: str) -> Iterator[None]:
    """Turn any error of reading an image into a TdaError that names the image and says what to do."""
    try:
        yield
    except FileNotFoundError:
        raise TdaError(f"{image} is missing. Restore it, or remove its frame.") from None
    except _ERRORS as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        reason = "not an image" if text.startswith("cannot identify") else text  # without the path that it repeats
        raise TdaError(f"{image} {failure} ({reason}). {advice}") from error
