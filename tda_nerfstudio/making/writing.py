"""Write rendered scenes in blender layout, each whole or not at all, and place the cameras that see them."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.raycast import Camera, Raycaster, focal_length, square_camera

DISTANCE, FIELD_OF_VIEW = 1.9, 39.6
"""Cameras stand this far from the origin [world units] and see this much [degrees]."""
LOWEST, HIGHEST = -5.0, 55.0
"""Elevations of cameras above the horizon [degrees]."""
_RECIPE = "recipe.json"


def check_seed(seed: int) -> None:
    """Raise TdaError for a negative seed."""
    if seed < 0:
        raise TdaError(f"--seed must be at least 0, not {seed}. Any whole number from 0 on makes an atlas of its own.")


def finished(folder: Path, recipe: dict[str, Any]) -> bool:
    """Say whether a scene was written with this recipe; raises TdaError when something else is in its place."""
    if not folder.exists():
        return False
    try:
        found = json.loads((folder / _RECIPE).read_text())
    except (OSError, ValueError):
        found = None
    if found != recipe:
        old = found if isinstance(found, dict) else {}
        changes = [f"{key} was {old.get(key)}, is {new}" for key, new in recipe.items() if old.get(key) != new]
        raise TdaError(
            f"{folder} exists already and was not made with these options ({'; '.join(changes)}). Name another folder,"
            " or remove that one."
        )
    return True


def write_scene(folder: Path, caster: Raycaster, views: Mapping[str, Iterable[Camera]], recipe: dict[str, Any]) -> None:
    """Render every split's cameras, which share one set of intrinsics, into a folder that does not exist yet."""
    from PIL import Image

    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    for split, cameras in views.items():
        (temporary / split).mkdir(parents=True)
        frames, intrinsics = [], {}
        for i, camera in enumerate(cameras):
            name = f"{split}/r_{i:03d}.png"
            Image.fromarray(caster.render(camera), "RGBA").save(temporary / name)
            matrix = [*camera.c2w.tolist(), [0.0, 0.0, 0.0, 1.0]]
            frames.append({"file_path": f"./{name}", "transform_matrix": matrix})
            intrinsics = {"camera_angle_x": 2 * math.atan(camera.width / 2 / camera.fx), "fl_x": camera.fx}
            intrinsics |= {"fl_y": camera.fy, "cx": camera.cx, "cy": camera.cy, "w": camera.width, "h": camera.height}
        content = json.dumps(intrinsics | {"frames": frames}, indent=1)
        (temporary / f"transforms_{split}.json").write_text(content)
    (temporary / _RECIPE).write_text(json.dumps(recipe))
    temporary.rename(folder)


def sphere_views(train_views: int, test_views: int, size: int, seed: tuple[int, int]) -> dict[str, list[Camera]]:
    """Place the cameras of both splits around the origin."""
    counts, focal = {"train": train_views, "test": test_views}, focal_length(FIELD_OF_VIEW, size)
    return {
        split: [square_camera(c2w, focal, size) for c2w in camera_sphere(count, (*seed, k))]
        for k, (split, count) in enumerate(counts.items())
    }


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
