"""Whether an image's file is there to its end, without decoding it."""

from __future__ import annotations

import re
import struct
from typing import IO

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_PNG_END, _JPEG_END = b"IEND\xaeB`\x82", b"\xff\xd9"
_TAIL = 1024  # an ordinary file's end marker lies here
_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")  # 00 stands for a byte ff of the picture, d0 to d7 restart it


def is_whole(file: IO[bytes], head: bytes) -> bool:
    """Say whether a PNG or JPEG file, which starts with `head`, reaches its end marker, whatever follows it.

    Other formats are taken as whole. Cameras append films, depth maps and notes of any length: only where the marker
    is not near the end, as it is in ordinary files, is the file gone through.
    """
    file.seek(max(0, file.seek(0, 2) - _TAIL))
    tail = file.read()
    if head.startswith(PNG):
        return _PNG_END in tail or _png_ends(file)
    if head.startswith(JPEG):
        return _JPEG_END in tail or _jpeg_ends(file)
    return True


def _png_ends(file: IO[bytes]) -> bool:
    """Go from chunk to chunk."""
    file.seek(len(PNG))
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return True
        file.seek(length + 4, 1)  # its checksum follows
    return False


def _jpeg_ends(file: IO[bytes]) -> bool:
    """Go from marker to marker, so that a thumbnail's end is not taken for the picture's."""
    file.seek(0)
    content, at = file.read(), len(JPEG)
    while found := _MARKER.search(content, at):
        at = found.end()
        if found[1] == _JPEG_END[1:]:
            return True
        if found[1] not in (JPEG[1:], b"\x01"):  # all others have a length
            at += int.from_bytes(content[at : at + 2], "big")
    return False
