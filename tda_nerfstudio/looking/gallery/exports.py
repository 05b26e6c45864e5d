"""Files that were exported from scenes: found beside a store or in a gallery, and linked to from its pages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tda_nerfstudio.base.places import is_remote

FOLDER = "exports"
KINDS = {
    ".splats.ply": "splats (PLY)",
    ".points.ply": "points (PLY)",
    ".mesh.ply": "mesh (PLY)",
    ".ply": "PLY",
    ".splat": "splats (.splat)",
    ".spz": "splats (.spz)",
    ".glb": "GLB",
    ".gltf": "glTF",
    ".obj": "OBJ",
    ".stl": "STL",
    ".usdz": "USDZ",
    ".zip": "ZIP",
    ".mp4": "video (MP4)",
}
"""What each kind of file is called, by how its name ends: the first ending that fits counts."""


@dataclass(frozen=True)
class Export:
    """A file to download."""

    kind: str
    path: str
    """From the folder of the scenes' pages, with / between its parts."""
    size: int
    """Bytes."""


def find_exports(store: Path, out: Path, pages: Path) -> dict[str, list[Export]]:
    """Find files NAME.* in OUT/exports and, where there is none of that name and kind, in STORE/../exports."""
    folders = [out / FOLDER]
    if not is_remote(store):
        folders.append(store.absolute().parent / FOLDER)
    found: dict[tuple[str, str], Export] = {}
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            ending = next((ending for ending in KINDS if path.name.lower().endswith(ending)), None)
            if ending is not None and path.is_file() and not path.name.startswith("."):
                way, kind = Path(os.path.relpath(path.absolute(), pages.absolute())).as_posix(), KINDS[ending]
                found.setdefault((path.name[: -len(ending)], kind), Export(kind, way, path.stat().st_size))
    exports: dict[str, list[Export]] = {}
    for (name, _), export in found.items():
        exports.setdefault(name, []).append(export)
    return exports
