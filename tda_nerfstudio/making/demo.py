"""Write the embedded demo class as an atlas: procedural vehicles in blender layout."""

from __future__ import annotations

import json
from pathlib import Path

from tda_nerfstudio.base.atomic import require_writable, write_text
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.progress import track
from tda_nerfstudio.making.writing import check_seed, finished, sphere_views, write_scene


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
    check_seed(seed)
    require_writable(out)
    from tda_nerfstudio.making.procedural.vehicles import vehicle
    from tda_nerfstudio.making.raycast import Raycaster

    recipe = {"class": "vehicles 1", "train_views": train_views, "test_views": test_views, "size": size, "seed": seed}
    names = [f"vehicle_{i:04d}" for i in range(scenes)]
    missing = [i for i, name in enumerate(names) if not finished(out / name, recipe)]
    out.mkdir(parents=True, exist_ok=True)
    for i in track(missing, f"Rendering {len(missing)} of {scenes} vehicles"):
        views = sphere_views(train_views, test_views, size, (seed, i))
        write_scene(out / names[i], Raycaster(vehicle(seed, i)), views, recipe)
    first = max(scenes * 3 // 4, 1)
    splits = {"tda-ae": names[:first], "tda-scenes": names[first:] or names[:1], "tda-rgb": names[first:] or names[:1]}
    write_text(out / "splits.json", json.dumps(splits, indent=1))
    return out
