"""Notes in a store about scenes that could not be learnt: one small file a scene, with the reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tda_nerfstudio.base.atomic import write_text
from tda_nerfstudio.base.places import reached
from tda_nerfstudio.store.safe_files import check_name, damage_named

ASIDE = "quarantine"
LONGEST_NOTE = 1 << 20
"""Bytes."""


def put_aside(folder: Path, name: str, reason: str, provenance: Mapping[str, Any]) -> None:
    """Note in the store of a folder why a scene could not be learnt. Raises StoreError for an unsafe name."""
    check_name(name, folder)
    content = {"scene": name, "reason": reason, "provenance": dict(provenance)}
    write_text(_note(folder, name), json.dumps(content, indent=1) + "\n")


def take_back(folder: Path, name: str) -> None:
    """Remove the note about a scene, if there is one."""
    with reached(folder):
        _note(folder, name).unlink(missing_ok=True)


def read_aside(folder: Path) -> dict[str, str]:
    """Return the reason for each scene that could not be learnt. Raises StoreError for a damaged note."""
    found = {}
    for path in sorted((folder / ASIDE).glob("*.json")):
        with damage_named(path, "The note"):
            note = json.loads(path.read_bytes()[:LONGEST_NOTE])
            found[check_name(note["scene"], path)] = str(note["reason"])
    return found


def _note(folder: Path, name: str) -> Path:
    return folder / ASIDE / f"{name}.json"
