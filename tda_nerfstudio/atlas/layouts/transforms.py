"""Read files of frames with cameras and poses: blender's and nerfstudio's layouts share them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tda_nerfstudio.atlas.layouts.cameras import COEFFICIENTS
from tda_nerfstudio.atlas.layouts.frames import Frame, inside, is_absolute, relative
from tda_nerfstudio.atlas.selection import read_json
from tda_nerfstudio.base.errors import TdaError

_SPELLINGS = (
    (("fl_x",), ("camera_angle_x",)),
    (("fl_y",), ("camera_angle_y",)),
    (COEFFICIENTS, ("distortion_params",)),
    (("camera_model",), ("is_fisheye",)),
)
"""Pairs of keys that give the same thing in two ways."""


def read_transforms(folder: Path, file: str) -> tuple[list[Frame], dict[str, Any]]:
    """Read one transforms file; a frame's own keys win over the file's, in either spelling."""
    content = read_json(*inside(folder, file))
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise TdaError(f"{file} must be an object with a list 'frames' of objects.")
    if not frames:
        raise TdaError(f"{file} has no frames. Remove the file or list at least one.")
    shared = {key: value for key, value in content.items() if key != "frames"}
    return [_frame(folder, file, shared, frame) for frame in frames], content


def _frame(folder: Path, file: str, shared: dict[str, Any], own: dict[str, Any]) -> Frame:
    path, camera = own.get("file_path"), dict(shared)
    for one, other in _SPELLINGS:
        for said, unsaid in ((one, other), (other, one)):
            if own.keys() & set(said):
                camera = {key: value for key, value in camera.items() if key not in unsaid}
    name = relative(folder, path, file)
    return Frame(name, own.get("transform_matrix"), camera | own, file, file, is_absolute(path))
