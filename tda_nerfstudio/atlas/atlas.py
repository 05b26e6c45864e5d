"""A folder of scenes that share one frame and one image size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tda_nerfstudio.atlas.layouts import Scene, has_layout, read_scene
from tda_nerfstudio.atlas.selection import select
from tda_nerfstudio.core.errors import TdaError

_IGNORED = ("camera_paths",)  # nerfstudio's render tab writes this folder into the data


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


def read_atlas(
    root: Path,
    scenes: Sequence[str] = (),
    test_views: Sequence[str] = (),
    eval_every: int = 8,
    default_key: str | None = None,
) -> Atlas:
    """Read the scenes below `root` that `scenes` selects, or the one scene that `root` itself is.

    A broken scene is left out and its reason kept in `broken`; so is one whose images are not of the size that most
    scenes have. Raises TdaError when there is no folder, no sub-folder, nothing selected or no good scene.
    """
    root = Path(root).expanduser().absolute()
    folders = _scene_folders(root)
    good: list[Scene] = []
    broken: dict[str, str] = {}
    for name in select(list(folders), scenes, default_key):
        try:
            good.append(read_scene(folders[name], eval_every, test_views))
        except TdaError as error:
            broken[name] = str(error)
    if not good:
        reason = next(iter(broken.values()))
        raise TdaError(f"No good scene in {root}: all {len(broken)} are broken. The first: {reason}")
    width, height = Counter((scene.width, scene.height) for scene in good).most_common(1)[0][0]
    for scene in good:
        if (scene.width, scene.height) != (width, height):
            broken[scene.name] = (
                f"Scene '{scene.name}': its images are {scene.width} x {scene.height}, most scenes' are"
                f" {width} x {height}. Render it at that size."
            )
    return Atlas(root, tuple(scene for scene in good if scene.name not in broken), width, height, broken)


def _scene_folders(root: Path) -> dict[str, Path]:
    """List scene folders by name, in sorted order."""
    if not root.is_dir():
        raise TdaError(f"The data folder {root} does not exist. Give a folder with one sub-folder per scene.")
    if has_layout(root):
        return {root.name: root}
    folders = {
        path.name: path
        for path in sorted(root.iterdir())
        if path.is_dir() and not path.name.startswith(".") and path.name not in _IGNORED
    }
    if not folders:
        raise TdaError(
            f"The data folder {root} is empty: it holds no scene. Give a folder with one sub-folder per scene."
        )
    return folders
