"""What can go wrong when an image is decoded, and how to say it."""

from __future__ import annotations

import struct
import zlib

from PIL import Image

DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
UNREADABLE = {"F": "it holds floating point numbers", "LAB": "its colours are in CIELAB"}
"""Modes of images that are never read, and why."""


def reason(error: BaseException) -> str:
    """Shorten a library's message to its first line, without the path it may repeat."""
    text = str(error).splitlines()[0] if str(error) else ""
    return "not an image" if text.startswith("cannot identify") else text or type(error).__name__
