"""Tell whether an image file is complete, without decoding it."""

from __future__ import annotations

import re
from typing import IO

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_PNG_END, _JPEG_END = b"IEND\xaeB`\x82", b"\xff\xd9"
_TAIL = 1024  # bytes at the end, where an ordinary file has its end marker
_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")  # 00 escapes a byte ff of the picture, d0 to d7 restart decoding


def is_whole(file: IO[bytes], head: bytes) -> bool:
    """Say whether a PNG or JPEG file, which starts with `head`, reaches its end marker, whatever follows it.

    Other formats count as whole. Ordinary files have the marker near their end. Cameras append films, depth maps and
    notes of any length; a file like that is read from its start.
    """
    file.seek(max(0, file.seek(0, 2) - _TAIL))
    tail = file.read()
    end = _PNG_END if head.startswith(PNG) else _JPEG_END if head.startswith(JPEG) else b""
    if end in tail:
        return True
    file.seek(0)
    content = file.read()
    return end in content and (end == _PNG_END or _jpeg_ends(content))


def _jpeg_ends(content: bytes) -> bool:
    """Go from marker to marker, so that a thumbnail's end is not taken for the picture's."""
    at = len(JPEG)
    while found := _MARKER.search(content, at):
        at = found.end()
        if found[1] == _JPEG_END[1:]:
            return True
        if found[1] not in (JPEG[1:], b"\x01"):  # all others have a length
            at += int.from_bytes(content[at : at + 2], "big")
    return False
