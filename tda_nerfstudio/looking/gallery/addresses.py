"""Names of files and addresses in a gallery: safe and unique for any text, on any system."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote

PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
"""Names that are names of files as they are: without dots, so that they are never equal to one that is made."""
RESERVED = re.compile(r"con|prn|aux|nul|com\d|lpt\d")
"""Names that files of Windows may not have."""


def file_stem(name: str) -> str:
    """Make the first part of a scene's file names: the name itself if it is plain, else what is plain in it and a hash.

    No two names share one, even where systems take capital letters for small ones.
    """
    if PLAIN.fullmatch(name) and not RESERVED.fullmatch(name):
        return name
    few = re.sub(r"[^a-z0-9]+", "-", name.lower())[:40].strip("-") or "scene"
    return f"{few}.{hashlib.sha256(clean(name).encode()).hexdigest()[:12]}"


def address(path: str) -> str:
    """Write a relative path as an address: all but letters, digits and _.-~/ becomes %XX."""
    return quote(clean(path), safe="/")


def clean(text: str) -> str:
    """Put "?" for what UTF-8 cannot hold, such as half of a pair of surrogates."""
    return text.encode("utf-8", "replace").decode()


def in_order(name: str) -> list[tuple[int, int, str]]:
    """Sort names as people do: without regard to capitals, van_9 before van_10."""
    parts = re.findall(r"\d+|\D+", name.casefold())
    return [(0, int(part), part) if part.isdecimal() and part.isascii() else (1, 0, part) for part in parts]
