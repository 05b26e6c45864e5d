"""Masks of a scene's images: named by its frames, or beside them under the same names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tda_nerfstudio.atlas.images import probe_image
from tda_nerfstudio.atlas.layouts.frames import Frame, inside, relative
from tda_nerfstudio.atlas.resampling import same_shape
from tda_nerfstudio.base.errors import TdaError

_IMAGES, _MASKS = "images", "masks"  # nerfstudio's folders; images_2 has masks_2


def find_masks(folder: Path, frames: Sequence[Frame], sizes: Sequence[tuple[int, int]]) -> list[Path | None]:
    """Find each frame's mask: its mask_path or, where no frame has one, the file of the same name in masks/.

    Raises TdaError for one that is missing, unreadable or of another shape than its image.
    """
    given = [(frame, frame.camera.get("mask_path")) for frame in frames]
    names = [None if path in (None, "") else relative(folder, path, f.camera_source, "mask_path") for f, path in given]
    if not any(names):
        names = _beside(folder, frames)
    masks: list[Path | None] = []
    for frame, name, size in zip(frames, names, sizes, strict=True):
        masks.append(None if name is None else inside(folder, name)[0])
        if masks[-1] and not same_shape(found := probe_image(masks[-1], "Mask"), size):
            raise TdaError(
                f"Mask '{name}' is {found[0]} x {found[1]}, but its image '{frame.name}' is {size[0]} x {size[1]}."
                " Make it of one size with its image."
            )
    return masks


def _beside(folder: Path, frames: Sequence[Frame]) -> list[str | None]:
    """Look into masks/ for the masks of all frames: either all of them have one there, or none."""
    if not any(path.name.startswith(_MASKS) for path in folder.iterdir()):
        return [None] * len(frames)
    names = [_like(folder, PurePosixPath(frame.name)) for frame in frames]
    if any(names) and not all(names):
        frame = frames[names.index(None)]
        raise TdaError(
            f"{_MASKS}/ holds masks of other images, but none of '{frame.name}'. Add it, or move {_MASKS}/ away."
        )
    return names


def _like(folder: Path, image: PurePosixPath) -> str | None:
    first = image.parts[0]
    if len(image.parts) < 2 or not first.startswith(_IMAGES):
        return None
    places = {first.replace(_IMAGES, _MASKS, 1), _MASKS}
    for place in sorted(places, reverse=True):
        path = PurePosixPath(place, *image.parts[1:])
        for name in (path, path.with_suffix(".png"), path.with_name(f"{path.name}.png")):
            if (folder / name).is_file():
                return str(name)
    return None
