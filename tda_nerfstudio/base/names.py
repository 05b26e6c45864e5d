"""Names of scenes. They become names of files."""

from __future__ import annotations

LONGEST_NAME = 200
NAMES = f"1 to {LONGEST_NAME} printable characters without / \\ : and no dot in front"
"""The names that a scene may have, in words."""


def is_safe(name: object) -> bool:
    """Whether a name is a text that is safe as a file's name on every system (`NAMES`)."""
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        return False
    if not name.isprintable() or len(name.encode()) > LONGEST_NAME:
        return False
    return name[0] != "." and not set(name) & set("/\\:")
