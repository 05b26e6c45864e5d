"""Read one scene folder, of any layout, as posed images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from tda_nerfstudio.atlas.images import IMAGE_SUFFIXES, Picture, probe_image
from tda_nerfstudio.atlas.layouts import blender, nerfstudio, srn
from tda_nerfstudio.atlas.layouts.cameras import read_camera
from tda_nerfstudio.atlas.layouts.frames import Frame, inside
from tda_nerfstudio.atlas.layouts.masks import find_masks
from tda_nerfstudio.atlas.layouts.poses import read_poses
from tda_nerfstudio.atlas.posed import PosedImages, Scene
from tda_nerfstudio.atlas.resampling import same_shape
from tda_nerfstudio.atlas.selection import select
from tda_nerfstudio.base.errors import TdaError

LAYOUTS = (blender, nerfstudio, srn)
"""The layouts that can be read; the first one that matches a folder reads it.

A new layout is a new module, like `blender`, and its name in this line. It has NAME (for messages), TRACES (patterns of
the files and folders by which a broken scene is still known as one), `matches` and `read`.
"""


def has_layout(folder: Path) -> bool:
    """Say whether a folder looks like a scene of a known layout; a folder that cannot be opened does not."""
    try:
        return any(layout.matches(folder) for layout in LAYOUTS)
    except OSError:
        return False


def looks_meant(folder: Path) -> bool:
    """Say whether a folder without a known layout was likely meant as a scene: it holds images or parts of one.

    A folder that cannot be opened counts as meant.
    """
    try:
        paths = list(folder.iterdir())
    except OSError:
        return True
    traces = {trace for layout in LAYOUTS for trace in layout.TRACES}
    return any(path.suffix.lower() in IMAGE_SUFFIXES or any(map(path.match, traces)) for path in paths)


def read_scene(folder: Path, eval_every: int = 8, test_views: Sequence[str] = ()) -> Scene:
    """Read and check one scene; image headers and ends are looked at, pixels are not decoded.

    Test views are those that match `test_views` (selectors over the views' paths inside the folder, such as
    `train/r_000.png`, `test/*` or `::8`); else those the files name (blender: `_test`, or `_val` where there is no
    `_test`; beside `_test`, `_val` is not read); else every `eval_every`-th in sorted order, the first included
    (0, k, 2k, ...; none for `eval_every` 0).
    Raises TdaError naming scene and file for anything that cannot be trained on.
    """
    folder = Path(folder).expanduser().absolute()
    try:
        frames, held_out = _read_frames(folder)
        frames = sorted(frames, key=lambda frame: frame.name)
        names = [frame.name for frame in frames]
        for name, successor in pairwise(names):
            if name == successor:
                raise TdaError(f"Image '{name}' is listed twice. Keep one frame, in one split.")
        if test_views:
            held_out = set(select(names, test_views, what="view"))
        elif held_out is None:
            held_out = set(names[::eval_every]) if eval_every > 0 else set()
        images, notes = _read_images(folder, frames)
    except TdaError as error:
        raise TdaError(f"Scene '{folder.name}': {error}") from error
    except OSError as error:
        raise TdaError(f"Scene '{folder.name}': {folder} cannot be read ({error}). Check its permissions.") from error
    train = [row for row, name in enumerate(names) if name not in held_out]
    if not train:
        raise TdaError(f"Scene '{folder.name}': none of its {len(names)} views is left to train on. Hold out fewer.")
    test = [row for row, name in enumerate(names) if name in held_out]
    return Scene(folder.name, images[train], images[test], notes)


def _read_frames(folder: Path) -> tuple[list[Frame], set[str] | None]:
    """Read the frames in the layout that the folder has, and the names of held-out views if its files give them."""
    for layout in LAYOUTS:
        if layout.matches(folder):
            return layout.read(folder)
    *names, last = (layout.NAME for layout in LAYOUTS)
    raise TdaError(f"{folder} has no known layout. Known are {', '.join(names)} or {last}.")


def _read_images(folder: Path, frames: Sequence[Frame]) -> tuple[PosedImages, tuple[str, ...]]:
    """Probe every image, check every number, and stack them at the size that most images have."""
    paths = inside(folder, *(frame.name for frame in frames))
    sizes = [probe_image(path) for path in paths]
    size = Counter(sizes).most_common(1)[0][0]
    for frame, own in zip(frames, sizes, strict=True):
        if not same_shape(own, size):
            was, expected = (f"{width} x {height}" for width, height in (own, size))
            raise TdaError(
                f"Image '{frame.name}' is {was}, but most are {expected}: another shape, not another size."
                " Render all in one shape."
            )
    masks = find_masks(folder, frames, sizes)
    cameras = [read_camera(frame, own, size) for frame, own in zip(frames, sizes, strict=True)]
    poses = torch.from_numpy(read_poses(frames))
    intrinsics = torch.from_numpy(np.array([values for values, _ in cameras]).T.astype(np.float32))
    lenses = [lens for _, lens in cameras]
    pictures = tuple(Picture(*parts) for parts in zip(paths, masks, lenses, strict=True))
    notes = {
        "file_path leads elsewhere: the files of the same name in the scene folder are read": any(
            frame.found for frame in frames
        ),
        "lens distortion is undone": any(lenses),
        "pixels where masks are 0 are white": any(masks),
        "images of other sizes are resampled": any(own != size for own in sizes),
    }
    images = PosedImages(poses, *intrinsics.unbind(), pictures=pictures, width=size[0], height=size[1])
    return images, tuple(note for note, holds in notes.items() if holds)
