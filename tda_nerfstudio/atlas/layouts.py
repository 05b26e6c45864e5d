"""One scene folder as cameras and image paths, from the blender, nerfstudio or ShapeNet-SRN layout."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.atlas.images import IMAGE_SUFFIXES, probe_image
from tda_nerfstudio.atlas.selection import read_json, select
from tda_nerfstudio.core.errors import TdaError

_BLENDER, _NERFSTUDIO, _SRN = "transforms_train.json", "transforms.json", "intrinsics.txt"
_KNOWN = f"blender ({_BLENDER}), nerfstudio ({_NERFSTUDIO}) or ShapeNet-SRN (rgb/, pose/, {_SRN})"
_RIGID = 1e-3  # largest error of R R^T - I that rounding in text files may cause
_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")
_OPENCV_TO_OPENGL = np.array([1.0, -1.0, -1.0, 1.0])  # flips the camera's y and z axes, columns of camera-to-world


@dataclass(frozen=True, eq=False)
class Views:
    """Posed images: OpenGL camera-to-world in the files' world frame, intrinsics in pixels of the full image."""

    paths: tuple[Path, ...]
    c2w: Float[Tensor, "view 3 4"]
    fx: Float[Tensor, " view"]
    fy: Float[Tensor, " view"]
    cx: Float[Tensor, " view"]
    cy: Float[Tensor, " view"]

    def __len__(self) -> int:
        return len(self.paths)

    def select(self, indices: Sequence[int]) -> Views:
        """Return some of the views, in the order asked for."""
        rows = torch.as_tensor(indices, dtype=torch.long)
        tensors = (tensor[rows] for tensor in (self.c2w, self.fx, self.fy, self.cx, self.cy))
        return Views(tuple(self.paths[row] for row in rows.tolist()), *tensors)


@dataclass(frozen=True)
class Scene:
    """One scene's train and test views, all of one size in pixels, sorted by file path."""

    name: str
    train: Views
    test: Views
    width: int
    height: int


@dataclass(frozen=True)
class _Frame:
    """A view as a file describes it, unchecked: `camera` has transforms.json's keys, `matrix` OpenGL axes."""

    name: str
    matrix: Any
    camera: Mapping[str, Any]
    source: str


def has_layout(folder: Path) -> bool:
    """Say whether a folder looks like a scene of a known layout."""
    return any((folder / marker).is_file() for marker in (_BLENDER, _NERFSTUDIO, _SRN)) or _is_srn(folder)


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
        for name, successor in zip(names, names[1:], strict=False):
            if name == successor:
                raise TdaError(f"Image '{name}' is listed twice. Keep one frame, in one split.")
        if test_views:
            held_out = set(select(names, test_views, what="view"))
        elif held_out is None:
            held_out = set(names[::eval_every]) if eval_every > 0 else set()
        views, (width, height) = _check_views(folder, frames)
    except TdaError as error:
        raise TdaError(f"Scene '{folder.name}': {error}") from error
    train = [row for row, name in enumerate(names) if name not in held_out]
    if not train:
        raise TdaError(f"Scene '{folder.name}': none of its {len(names)} views is left to train on. Hold out fewer.")
    test = [row for row, name in enumerate(names) if name in held_out]
    return Scene(folder.name, views.select(train), views.select(test), width, height)


def _read_frames(folder: Path) -> tuple[list[_Frame], set[str] | None]:
    """Read the frames of whichever layout the folder has, and the names that its files hold out, if they do."""
    if (folder / _BLENDER).is_file():
        train = _read_transforms(folder, _BLENDER)[0]
        for held_out in ("transforms_test.json", "transforms_val.json"):
            if (folder / held_out).is_file():
                test = _read_transforms(folder, held_out)[0]
                return train + test, {frame.name for frame in test}
        return train, None
    if (folder / _NERFSTUDIO).is_file():
        return _read_nerfstudio(folder)
    if _is_srn(folder):
        return _read_srn(folder), None
    raise TdaError(f"{folder} has no known layout. Known are {_KNOWN}.")


def _is_srn(folder: Path) -> bool:
    return (folder / "rgb").is_dir() and (folder / "pose").is_dir()


def _read_nerfstudio(folder: Path) -> tuple[list[_Frame], set[str] | None]:
    """Read transforms.json and its optional train_filenames, test_filenames and val_filenames."""
    frames, content = _read_transforms(folder, _NERFSTUDIO)
    names = {frame.name for frame in frames}
    listed: dict[str, set[str]] = {}
    for key in ("train_filenames", "test_filenames", "val_filenames"):
        if key in content:
            if not isinstance(content[key], list):
                raise TdaError(f"{_NERFSTUDIO}: {key} must be a list of file paths.")
            listed[key] = {_relative(path, _NERFSTUDIO) for path in content[key]}
            if unknown := sorted(listed[key] - names):
                raise TdaError(f"{_NERFSTUDIO}: {key} lists '{unknown[0]}', which is no frame's file_path.")
    test = listed.get("test_filenames", listed.get("val_filenames"))
    train = listed.get("train_filenames", names - (test or set()))
    if test is None:
        return frames, (names - train if "train_filenames" in listed else None)
    if both := sorted(train & test):
        raise TdaError(f"{_NERFSTUDIO}: '{both[0]}' is both a train and a test view. Keep it in one list.")
    return [frame for frame in frames if frame.name in train | test], test


def _read_transforms(folder: Path, file: str) -> tuple[list[_Frame], dict[str, Any]]:
    """Read one transforms file; a frame's own keys win over the file's."""
    content = read_json(_inside(folder, file))
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise TdaError(f"{file} must be an object with a list 'frames' of objects.")
    if not frames:
        raise TdaError(f"{file} has no frames. Remove the file or list at least one.")
    shared = {key: value for key, value in content.items() if key != "frames"}
    return [
        _Frame(_relative(frame.get("file_path"), file), frame.get("transform_matrix"), shared | frame, file)
        for frame in frames
    ], content


def _read_srn(folder: Path) -> list[_Frame]:
    """Read rgb/ and pose/; intrinsics.txt has `f cx cy 0` on its first line and `height width` on its last."""
    lines = [_numbers(line, _SRN) for line in _read_text(folder, _SRN).splitlines() if line.strip()]
    if len(lines) < 2 or len(lines[0]) < 3 or len(lines[-1]) != 2:
        raise TdaError(f"{_SRN} must start with a line 'f cx cy 0' and end with a line 'height width'.")
    (focal, cx, cy), (height, width) = lines[0][:3], lines[-1]
    camera = {"fl_x": focal, "fl_y": focal, "cx": cx, "cy": cy, "w": _whole(width), "h": _whole(height)}
    images = {path.stem: path.name for path in (folder / "rgb").iterdir() if path.suffix.lower() in IMAGE_SUFFIXES}
    poses = {path.stem for path in (folder / "pose").glob("*.txt")}
    frames = []
    for stem in sorted(stem for stem in {*images, *poses} if not stem.startswith(".")):
        source = f"pose/{stem}.txt"
        values = _numbers(_read_text(folder, source), source)
        if len(values) != 16:
            raise TdaError(f"{source} holds {len(values)} numbers; a pose has 16.")
        matrix = np.array(values).reshape(4, 4) * _OPENCV_TO_OPENGL
        frames.append(_Frame(f"rgb/{images.get(stem, stem + '.png')}", matrix, camera, source))
    if not frames:
        raise TdaError("rgb/ and pose/ hold no views.")
    return frames


def _check_views(folder: Path, frames: Sequence[_Frame]) -> tuple[Views, tuple[int, int]]:
    """Probe every image, check every number, and stack them."""
    paths = tuple(_inside(folder, frame.name) for frame in frames)
    sizes = [probe_image(path) for path in paths]
    for frame, size in zip(frames, sizes, strict=True):
        declared = (frame.camera.get("w", size[0]), frame.camera.get("h", size[1]))
        for wanted, source in ((declared, f"{frame.source} says it"), (sizes[0], f"'{frames[0].name}'")):
            if size != wanted:
                was, expected = (f"{width} x {height}" for width, height in (size, wanted))
                raise TdaError(f"Image '{frame.name}' is {was}, but {source} is {expected}. Render all at one size.")
    intrinsics = np.array([_intrinsics(frame, *sizes[0]) for frame in frames])
    poses = _poses(frames)
    columns = torch.from_numpy(intrinsics.T.astype(np.float32))
    return Views(paths, torch.from_numpy(poses.astype(np.float32)), *columns.unbind()), sizes[0]


def _intrinsics(frame: _Frame, width: int, height: int) -> tuple[float, float, float, float]:
    """Return fx, fy, cx, cy in pixels, from camera_angle_x (radians, horizontal) where fl_x is absent."""
    camera = frame.camera
    if any(camera.get(key) for key in _DISTORTION) or "FISHEYE" in str(camera.get("camera_model", "")).upper():
        raise TdaError(f"{frame.source}: '{frame.name}' has lens distortion, which is not supported. Undistort first.")
    if "fl_x" in camera:
        fx = camera["fl_x"]
    elif "camera_angle_x" in camera:
        angle = camera["camera_angle_x"]
        if not _is_number(angle) or not 0 < angle < math.pi:
            raise TdaError(f"{frame.source}: camera_angle_x of '{frame.name}' is {angle!r}, not in (0, pi) radians.")
        fx = 0.5 * width / math.tan(0.5 * angle)
    else:
        raise TdaError(f"{frame.source}: '{frame.name}' has neither fl_x nor camera_angle_x. Add one of them.")
    values = (fx, camera.get("fl_y", fx), camera.get("cx", width / 2), camera.get("cy", height / 2))
    for key, value in zip(("fl_x", "fl_y", "cx", "cy"), values, strict=True):
        if not _is_number(value) or value <= 0:
            raise TdaError(f"{frame.source}: {key} of '{frame.name}' is {value!r}; it must be positive and finite.")
    return values


def _poses(frames: Sequence[_Frame]) -> Float[np.ndarray, "view 3 4"]:
    """Stack the poses after checking that each is finite and rigid."""
    poses = np.empty((len(frames), 3, 4))
    for pose, frame in zip(poses, frames, strict=True):
        where = f"{frame.source}: the pose of '{frame.name}'"
        try:
            matrix = np.array(frame.matrix, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            matrix = np.empty(0)
        if matrix.shape not in ((3, 4), (4, 4)):
            raise TdaError(f"{where} is not a 4 x 4 matrix of numbers.")
        if not np.isfinite(matrix).all():
            raise TdaError(f"{where} is not finite (NaN or infinity). Remove the frame or export it again.")
        rotation = matrix[:3, :3]
        error = np.abs(rotation @ rotation.T - np.eye(3)).max()
        if error > _RIGID or np.abs(matrix[3:] - [0, 0, 0, 1]).max(initial=0) > _RIGID:
            raise TdaError(f"{where} is not rigid: it scales, shears or projects (by {error:.2g}). Export it unscaled.")
        if np.linalg.det(rotation) < 0:
            raise TdaError(f"{where} is a reflection (determinant -1), not a rotation. Flip one of its axes.")
        pose[:] = matrix[:3]
    return poses


def _relative(file_path: Any, source: str) -> str:
    """Normalise a file path inside the scene folder; refuses one that leads out of it."""
    if not isinstance(file_path, str) or not file_path.strip("./") or "\0" in file_path:
        raise TdaError(f"{source}: file_path {file_path!r} is not a file path.")
    path = PurePosixPath(file_path.replace("\\", "/"))
    if path.is_absolute() or ":" in path.parts[0] or ".." in path.parts:
        raise TdaError(
            f"{source}: file_path '{file_path}' leads out of the scene folder and is refused. Make it relative."
        )
    return str(path) if path.suffix.lower() in IMAGE_SUFFIXES else f"{path}.png"


def _inside(folder: Path, name: str) -> Path:
    """Join, refusing a link that leads out of the scene folder."""
    path = folder / name
    if not os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep):
        raise TdaError(f"'{name}' is a link that leads out of the scene folder and is refused. Copy the file there.")
    return path


def _read_text(folder: Path, name: str) -> str:
    try:
        return _inside(folder, name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TdaError(f"{name} is missing. A ShapeNet-SRN scene has {_SRN} and a pose for every image.") from None
    except (OSError, ValueError) as error:
        raise TdaError(f"{name} cannot be read ({error}). Write it again.") from error


def _numbers(text: str, source: str) -> list[float]:
    try:
        return [float(word) for word in text.split()]
    except ValueError as error:
        raise TdaError(f"{source} must hold numbers only ({error}).") from None


def _is_number(value: Any) -> bool:
    """Say whether a value from a file is a finite number (JSON knows NaN, infinity and integers of any length)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30


def _whole(value: float) -> float | int:
    return int(value) if value.is_integer() else value
