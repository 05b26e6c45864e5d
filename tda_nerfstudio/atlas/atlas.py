"""A folder of scenes that share one frame and one image size."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import torch

from tda_nerfstudio.atlas.bounds import spread
from tda_nerfstudio.atlas.layouts.scene import has_layout, looks_meant, read_scene
from tda_nerfstudio.atlas.posed import Scene
from tda_nerfstudio.atlas.resampling import same_shape
from tda_nerfstudio.atlas.selection import select
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.names import NAMES, is_safe

_FAR_OFF = 20  # a scene is left out if its cameras are more than this many times as far away as usual


@dataclass(frozen=True)
class Atlas:
    """The good scenes of a folder in sorted order, and why each of the others was left out."""

    root: Path
    scenes: tuple[Scene, ...]
    width: int
    height: int
    broken: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the good scenes; a scene's index is its position here."""
        return tuple(scene.name for scene in self.scenes)

    @property
    def train_views(self) -> int:
        """The usual number of training views of a scene: the median."""
        return int(median(len(scene.train) for scene in self.scenes))

    @property
    def notes(self) -> list[str]:
        """List what reading changed that the files do not ask for: a line for each kind of change."""
        noted: dict[str, list[str]] = {}
        for scene in self.scenes:
            for note in scene.notes:
                noted.setdefault(note, []).append(scene.name)
        return [
            f"{note} ({len(names)} of {len(self.scenes)} scenes, the first is '{names[0]}')."
            for note, names in noted.items()
        ]


def read_atlas(
    root: Path,
    scenes: Sequence[str] = (),
    test_views: Sequence[str] = (),
    eval_every: int = 8,
    default_key: str | None = None,
    train_views: int | None = None,
    size: tuple[int, int] | None = None,
) -> Atlas:
    """Read the scenes below `root` that `scenes` selects, or the one scene that `root` itself is.

    With `train_views`, a scene keeps so many of its training views, from as different sides as possible.
    All scenes get the image size that most of them have, or the given (width, height) in pixels. A scene is left out,
    with the reason in `broken`, if it cannot be read, if its images have another shape, if its cameras are far off, or
    if no file can have its name. Raises TdaError when there is no folder, no scene in it, nothing selected or, where no
    size is given, no good scene.
    """
    root = Path(os.path.normpath(Path(root).expanduser().absolute()))  # links are kept: a scene has its link's name
    folders = scene_folders(root)
    numbered = [name for name, folder in folders.items() if has_layout(folder)]
    good: list[Scene] = []
    broken: dict[str, str] = {}
    for name in select(list(folders), scenes, default_key, numbered=numbered):
        try:
            if not is_safe(name):
                problem = f"no store could keep it under this name. A scene's is {NAMES}. Rename its folder."
                raise TdaError(f"Scene '{name}': {problem}")
            scene = read_scene(folders[name], eval_every, test_views)
            good.append(scene if train_views is None else _with_few_views(scene, train_views))
        except TdaError as error:
            broken[name] = str(error)
    if not good and size is None:
        reason = next(iter(broken.values()))
        raise TdaError(f"No good scene in {root}: all {len(broken)} are broken. The first: {reason}")
    width, height = size or Counter((scene.width, scene.height) for scene in good).most_common(1)[0][0]
    fitting: list[Scene] = []
    for scene in good:
        if (scene.width, scene.height) == (width, height):
            fitting.append(scene)
        elif same_shape((scene.width, scene.height), (width, height)):
            fitting.append(scene.resized(width, height))
        else:
            broken[scene.name] = (
                f"Scene '{scene.name}': its images are {scene.width} x {scene.height}, most scenes' are"
                f" {width} x {height}: another shape, not another size. Render it in that shape."
            )
    far = _far_off(fitting)
    return Atlas(root, tuple(scene for scene in fitting if scene.name not in far), width, height, broken | far)


def _with_few_views(scene: Scene, count: int) -> Scene:
    return replace(scene, train=scene.train[sorted(spread(scene.train.c2w[:, :, 2], count))])


def _far_off(scenes: Sequence[Scene]) -> dict[str, str]:
    """Find scenes in another unit of length: no box can hold them and the others. Two scenes alone cannot tell."""
    if len(scenes) < 3:
        return {}
    places = [scene.train.c2w[:, :, 3].double() for scene in scenes]
    middle = torch.stack([own.median(0).values for own in places]).median(0).values
    distances = torch.stack([(own - middle).norm(dim=-1).median() for own in places])
    times = distances / distances.median()
    return {
        scene.name: (
            f"Scene '{scene.name}': its cameras are {share:.3g} times as far from the middle as the other scenes'."
            " Scale it like the others."
        )
        for scene, share in zip(scenes, times.tolist(), strict=True)
        if _FAR_OFF < share < math.inf
    }


def scene_folders(root: Path) -> dict[str, Path]:
    """List scene folders by name, in sorted order: those with a layout, and those that seem meant as scenes.

    Other folders are no scenes, such as outputs/, or camera_paths/, which nerfstudio's viewer writes into the data.
    """
    if not root.is_dir():
        raise TdaError(f"The data folder {root} does not exist. Give a folder with one sub-folder per scene.")
    if has_layout(root):
        return {root.name: root}
    below = [path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    if not any(has_layout(path) for path in below) and looks_meant(root):
        return {root.name: root}
    folders = {path.name: path for path in below if has_layout(path) or looks_meant(path)}
    if not folders:
        is_empty = "is empty: it holds no scene" if not below else "holds no scene: no sub-folder has a known layout"
        deeper = next((path.name for path in below if any(map(has_layout, path.iterdir()))), None)
        instead = "a folder with one sub-folder per scene" if deeper is None else f"'{root / deeper}', which holds some"
        raise TdaError(f"The data folder {root} {is_empty}. Give {instead}.")
    return folders
