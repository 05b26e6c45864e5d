"""The one error family of this package."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable


class TdaError(Exception):
    """An error a user can act on; its message says what is wrong, where (scene, file) and what to do next."""


class StoreError(TdaError):
    """A store, or a file of it, that is damaged, foreign or hostile; the message names file and scene."""


def listed(names: Collection[str], what: str = "scene", most: int = 8) -> str:
    """Count names, and say them where they are few."""
    few = f": {', '.join(map(str, names))}" if 0 < len(names) <= most else ""
    return f"{counted(len(names), what)}{few}"


def counted(number: int, what: str) -> str:
    """Say a number of things: 1 scene, 2 scenes."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def suggest(name: str, known: Iterable[str]) -> str:
    """Name the nearest known spelling as a sentence to append to an error, or nothing when none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f" Did you mean '{near[0]}'?" if near else ""
