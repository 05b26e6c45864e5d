"""Names of scenes, which become names of files."""

from __future__ import annotations

LONGEST_NAME = 200
NAMES = f"1 to {LONGEST_NAME} printable characters without / \\ : and no dot in front"
"""What a scene may be called, in words."""


def is_safe(name: object) -> bool:
    """Say whether a scene may be called so: whether that is safe as a file's name everywhere."""
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        return False
    return name.isprintable() and name[0] != "." and not set(name) & set("/\\:")
