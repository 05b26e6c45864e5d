"""The layout of ShapeNet-SRN: an image and a text file with a pose for each view, one file with intrinsics."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tda_nerfstudio.atlas.images import IMAGE_SUFFIXES
from tda_nerfstudio.atlas.layouts.frames import Frame, inside
from tda_nerfstudio.base.errors import TdaError

NAME = "ShapeNet-SRN (rgb/, pose/, intrinsics.txt)"
_INTRINSICS = "intrinsics.txt"
TRACES = ("rgb", "pose", _INTRINSICS)
_OPENCV_TO_OPENGL = np.array([1.0, -1.0, -1.0, 1.0])  # flips the camera's y and z axes, columns of camera-to-world


def matches(folder: Path) -> bool:
    """Say whether a folder has this layout."""
    return (folder / "rgb").is_dir() and (folder / "pose").is_dir()


def read(folder: Path) -> tuple[list[Frame], set[str] | None]:
    """Read rgb/ and pose/; intrinsics.txt has `f cx cy 0` on its first line and `height width` on its last."""
    lines = _lines(folder, _INTRINSICS)
    if len(lines) < 2 or len(lines[0]) < 3 or len(lines[-1]) != 2:
        raise TdaError(f"{_INTRINSICS} must start with a line 'f cx cy 0' and end with a line 'height width'.")
    (focal, cx, cy), (height, width) = lines[0][:3], lines[-1]
    camera = {"fl_x": focal, "fl_y": focal, "cx": cx, "cy": cy, "w": width, "h": height}
    images = {path.stem: path.name for path in (folder / "rgb").iterdir() if path.suffix.lower() in IMAGE_SUFFIXES}
    poses = {path.stem for path in (folder / "pose").glob("*.txt")}
    frames = []
    for stem in sorted(stem for stem in {*images, *poses} if not stem.startswith(".")):
        source = f"pose/{stem}.txt"
        values = np.array(sum(_lines(folder, source), []))
        if len(values) != 16:
            raise TdaError(f"{source} holds {len(values)} numbers; a pose has 16.")
        matrix = values.reshape(4, 4) * _OPENCV_TO_OPENGL
        frames.append(Frame(f"rgb/{images.get(stem, stem + '.png')}", matrix, camera, source, _INTRINSICS))
    if not frames:
        raise TdaError("rgb/ and pose/ hold no views.")
    return frames, None


def _lines(folder: Path, name: str) -> list[list[float]]:
    """Read the numbers of each line that holds any."""
    try:
        text = inside(folder, name)[0].read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise TdaError(
            f"{name} is missing. A ShapeNet-SRN scene has {_INTRINSICS} and a pose for every image."
        ) from None
    except (OSError, ValueError) as error:
        raise TdaError(f"{name} cannot be read ({error}). Write it again.") from error
    try:
        return [[float(word) for word in line.split()] for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise TdaError(f"{name} must hold numbers only ({error}).") from None
