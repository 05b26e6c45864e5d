"""The images that scenes of a store were learnt from, where they are at hand."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.atlas.atlas import scene_folders
from tda_nerfstudio.atlas.images import read_image
from tda_nerfstudio.atlas.layouts.scene import read_scene
from tda_nerfstudio.atlas.posed import PosedImages, Scene
from tda_nerfstudio.base.errors import TdaError, listed
from tda_nerfstudio.store.store import Store

SCENES_KEPT = 64
"""Scenes whose cameras stay in memory."""


@dataclass(frozen=True, eq=False)
class Truth:
    """An atlas beside a store. Scenes are found by name, and read when they are first asked for."""

    root: Path
    width: int
    """Size that images are given, in pixels: that of the store."""
    height: int

    @cached_property
    def folders(self) -> dict[str, Path]:
        """Where each scene is. Raises TdaError for a folder without scenes."""
        return scene_folders(self.root)

    def views(self, name: str) -> PosedImages | None:
        """Give a scene's held-out views, else its training views; None where it is not there or cannot be read."""
        scene = self.scene(name)
        return None if scene is None else scene.test if len(scene.test) else scene.train

    def scene(self, name: str) -> Scene | None:
        """Give a scene's views at the store's size; None where it is not there or cannot be read."""
        return _scene(self, name) if name in self.folders else None

    def image(self, views: PosedImages, row: int) -> Float[Tensor, "3 height width"] | None:
        """Read one image, in [0, 1] on white; None where it cannot be read."""
        try:
            pixels = read_image(views.pictures[row], self.width, self.height)
        except TdaError:
            return None
        return pixels.permute(2, 0, 1).float() / 255


def truth_of(store: Store, data: Path | None, own: Path | None = None) -> Truth | None:
    """Put an atlas beside a store: the one that is given, else its own where that is at hand.

    Raises TdaError where the given one is no atlas, or has none of the store's scenes.
    """
    if data is None and own is None:
        return None
    camera = store.manifest.camera
    truth = Truth(data or own or Path(), camera.width, camera.height)
    if data is None:
        with suppress(TdaError):
            return truth if truth.folders else None
        return None
    if len(store) and not truth.folders.keys() & set(store):
        raise TdaError(
            f"The atlas {data} ({listed(truth.folders)}) has none of the store's scenes ({listed(store.names)}). Give"
            " the atlas that they were learnt from."
        )
    return truth


@lru_cache(SCENES_KEPT)
def _scene(truth: Truth, name: str) -> Scene | None:
    try:
        return read_scene(truth.folders[name]).resized(truth.width, truth.height)
    except TdaError:
        return None


def nearest(views: PosedImages, eye: Float[Tensor, " 3"]) -> int:
    """Find the view whose camera stands nearest to a point, in world units."""
    return int(torch.linalg.vector_norm(views.c2w[:, :, 3] - eye.cpu(), dim=-1).argmin())
