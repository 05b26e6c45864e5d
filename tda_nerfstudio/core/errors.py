"""The one error family of this package."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TdaError(Exception):
    """An error a user can act on; its message says what is wrong, where (scene, file) and what to do next."""


class StoreError(TdaError):
    """A store, or a file of it, that is damaged, foreign or hostile; the message names file and scene."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Name the nearest known spelling as a sentence to append to an error, or nothing when none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f" Did you mean '{near[0]}'?" if near else ""
