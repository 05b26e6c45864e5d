"""A pool of rendered objects with transparent surroundings, made once and kept on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from tda_nerfstudio.base.atomic import replace_file
from tda_nerfstudio.making.procedural.objects import random_camera, random_object
from tda_nerfstudio.making.procedural.vehicles import vehicle
from tda_nerfstudio.making.processes import in_processes
from tda_nerfstudio.making.raycast import Raycaster, focal_length, square_camera
from tda_nerfstudio.making.writing import FIELD_OF_VIEW, camera_sphere

SIZE = 128
"""Pixels along a side of a sprite."""
CHUNK = 128
"""How many sprites a file holds."""
VIEWS = 2
"""How many sprites show one object."""
VEHICLES = 0.3
"""Share of vehicles of the demo class."""
VEHICLE_SEED = 1_000_003
"""Keeps these vehicles apart from those of demo atlases, whose seeds are small."""


def render_sprites(seed: int, start: int, count: int) -> UInt8[np.ndarray, "sprite size size 4"]:
    """Render sprites start ... start + count - 1, each of which depends on (seed, its index) alone; straight alpha."""
    sprites = []
    for k in range(start, start + count):
        if k == start or k % VIEWS == 0:
            rng = np.random.default_rng((seed, 1, k // VIEWS))
            is_vehicle = rng.random() < VEHICLES
            caster = Raycaster(vehicle(VEHICLE_SEED + seed, k // VIEWS)) if is_vehicle else random_object(rng)
        rng = np.random.default_rng((seed, 2, k))
        if is_vehicle and rng.random() < 0.7:
            camera = camera_sphere(64, (seed, 3, k))[rng.integers(64)]
            focal = focal_length(FIELD_OF_VIEW, SIZE)
        else:
            camera, focal = random_camera(rng, SIZE)
        sprites.append(caster.render(square_camera(camera, focal, SIZE)))
    return np.stack(sprites)


def _write_chunk(task: tuple[Path, int, int]) -> None:
    path, seed, chunk = task
    sprites = render_sprites(seed, chunk * CHUNK, CHUNK)
    replace_file(path, lambda file: np.save(file, sprites))


class SpritePool(Sequence[UInt8[np.ndarray, "size size 4"]]):
    """Sprites in memory-mapped files. Missing files are rendered first, so that an interrupted call can be repeated."""

    def __init__(self, folder: Path, count: int, seed: int, workers: int | None = None) -> None:
        paths = [folder / f"sprites-1-seed{seed}-{i:04d}.npy" for i in range(-(-count // CHUNK))]
        missing = [(path, seed, i) for i, path in enumerate(paths) if not path.exists()]
        for _ in in_processes(_write_chunk, missing, workers, f"Rendering {len(missing) * CHUNK} objects"):
            pass
        self._chunks = [np.load(path, mmap_mode="r") for path in paths]
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> UInt8[np.ndarray, "size size 4"]:
        return self._chunks[index // CHUNK][index % CHUNK]
