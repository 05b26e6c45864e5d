"""Write the embedded demo class as an atlas: procedural vehicles in blender layout."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from tda_nerfstudio.core.atomic import write_text
from tda_nerfstudio.core.errors import TdaError

DISTANCE, FIELD_OF_VIEW = 1.9, 39.6
"""Cameras stand this far from the origin [world units] and see this much [degrees]."""
LOWEST, HIGHEST = -5.0, 55.0
"""Elevations of cameras above the horizon [degrees]."""
RECIPE = "recipe.json"


def write_demo_atlas(
    out: Path, scenes: int = 32, train_views: int = 40, test_views: int = 10, size: int = 64, seed: int = 0
) -> Path:
    """Write vehicles 0 ... scenes - 1 of the class `seed`; scenes that are already there with the same sizes stay.

    Scene i depends on (seed, i) and the sizes alone; each is written whole or not at all, so that an interrupted call
    can be repeated. splits.json marks three quarters for stage 1 and the rest for stage 2. Raises TdaError when `out`
    holds something else, or sizes make no sense.
    """
    if min(scenes, train_views, test_views) < 1 or size < 8:
        raise TdaError(
            f"A demo atlas needs at least 1 scene, 1 training and 1 held-out view and 8 pixels, not {scenes} scenes,"
            f" {train_views} + {test_views} views and {size} pixels."
        )
    from rich.progress import track

    recipe = {"class": "vehicles 1", "train_views": train_views, "test_views": test_views, "size": size, "seed": seed}
    names = [f"vehicle_{i:04d}" for i in range(scenes)]
    missing = [i for i, name in enumerate(names) if not _finished(out, name, recipe)]
    out.mkdir(parents=True, exist_ok=True)
    for i in track(missing, description=f"Rendering {len(missing)} of {scenes} vehicles", disable=not missing):
        _write_scene(out / names[i], i, recipe)
    first = max(scenes * 3 // 4, 1)
    splits = {"tda-ae": names[:first], "tda-scenes": names[first:] or names[:1], "tda-rgb": names[first:] or names[:1]}
    write_text(out / "splits.json", json.dumps(splits, indent=1))
    return out


def _finished(out: Path, name: str, recipe: dict[str, Any]) -> bool:
    folder = out / name
    if not folder.exists():
        return False
    try:
        found = json.loads((folder / RECIPE).read_text())
    except (OSError, ValueError):
        found = None
    if found != recipe:
        raise TdaError(
            f"{folder} exists already and was not made with these sizes and seed ({found}). Name another folder, or"
            " remove that one."
        )
    return True


def _write_scene(folder: Path, index: int, recipe: dict[str, Any]) -> None:
    from PIL import Image

    from tda_nerfstudio.atlas.demo_vehicles import vehicle
    from tda_nerfstudio.atlas.raycast import Raycaster

    size, seed = recipe["size"], recipe["seed"]
    focal = size / 2 / math.tan(math.radians(FIELD_OF_VIEW / 2))
    caster = Raycaster(vehicle(seed, index))
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    for k, split in enumerate(("train", "test")):
        (temporary / split).mkdir(parents=True)
        frames = []
        for i, c2w in enumerate(camera_sphere(recipe[f"{split}_views"], (seed, index, k))):
            Image.fromarray(caster.render(c2w, focal, size), "RGBA").save(temporary / split / f"r_{i:03d}.png")
            matrix = [*c2w.tolist(), [0.0, 0.0, 0.0, 1.0]]
            frames.append({"file_path": f"./{split}/r_{i:03d}.png", "transform_matrix": matrix})
        camera = {"camera_angle_x": math.radians(FIELD_OF_VIEW), "fl_x": focal, "fl_y": focal}
        camera |= {"cx": size / 2, "cy": size / 2, "w": size, "h": size}
        (temporary / f"transforms_{split}.json").write_text(json.dumps(camera | {"frames": frames}, indent=1))
    (temporary / RECIPE).write_text(json.dumps(recipe))
    temporary.rename(folder)


def camera_sphere(count: int, seed: tuple[int, int, int]) -> Float[np.ndarray, "view 3 4"]:
    """Place cameras evenly around the origin, looking at it, at even elevations; the seed turns them all.

    OpenGL camera-to-world matrices, z up.
    """
    rng = np.random.default_rng(seed)
    share = (np.arange(count) + 0.5) / count
    low, high = np.sin(np.radians(LOWEST)), np.sin(np.radians(HIGHEST))
    up = low + (high - low) * rng.permutation(share)
    azimuth = 2 * np.pi * (np.arange(count) * 0.618034 + rng.random())
    flat = np.sqrt(1 - up**2)
    back = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), up], -1)
    right: NDArray = np.stack([-np.sin(azimuth), np.cos(azimuth), np.zeros(count)], -1)
    return np.stack([right, np.cross(back, right), back, DISTANCE * back], -1)
