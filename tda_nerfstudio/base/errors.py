"""The errors that users can act on, and words for their messages."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable


class TdaError(Exception):
    """An error that a user can act on. Its message says what is wrong, where (scene, file) and what to do next."""


class StoreError(TdaError):
    """A store or a file of it that is damaged or does not belong there; the message names the file and the scene."""


def listed(names: Collection[str], what: str = "scene", most: int = 8) -> str:
    """Count names, and list them if there are at most `most`: "2 scenes: bus, cab"."""
    few = f": {', '.join(map(str, names))}" if 0 < len(names) <= most else ""
    return f"{counted(len(names), what)}{few}"


def counted(number: int, what: str) -> str:
    """Write a number with its noun: "1 scene", "2 scenes"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def suggest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean '...'?" with the known name that is spelt most like `name`; "" if none is close."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f" Did you mean '{near[0]}'?" if near else ""
