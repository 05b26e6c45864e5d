"""Which scenes of a store somebody means, and which of them can be read."""

from __future__ import annotations

from collections.abc import Sequence

from tda_nerfstudio.atlas.selection import select
from tda_nerfstudio.base.errors import StoreError
from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.store.store import Store


def choose(store: Store, asked: Sequence[str], default: Sequence[str]) -> list[str]:
    """Name scenes: in the order that was asked for where all are names, else in alphabetical order.

    'all' is '*'. Raises StoreError for an unknown name and TdaError for a selector that matches nothing.
    """
    names = store.names
    if not asked:
        return list(default)
    asked = ["*" if name == "all" and "all" not in names else name for name in asked]
    if all(name in names for name in asked):
        return list(dict.fromkeys(asked))
    for name in asked:
        if not any(mark in name for mark in "*?[:#!") and not name.lstrip("-").isdigit():
            store.file(name)  # raises for an unknown name
    return select(names, asked)


def sound(store: Store, names: Sequence[str]) -> list[str]:
    """Leave out damaged scenes, and name them. Raises StoreError where none is left."""
    good: list[str] = []
    for name in names:
        try:
            store.file(name).check()
            good.append(name)
        except StoreError as error:
            if len(names) == 1:
                raise
            CONSOLE.print(f"Left out: '{name}'. {error}", style="yellow", markup=False, soft_wrap=True)
    if not good:
        raise StoreError(f"All {len(names)} scenes are damaged. Restore their files, or learn them again.")
    return good
