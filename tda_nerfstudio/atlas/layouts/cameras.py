"""Read cameras as files describe them: intrinsics for an image's size, and lens distortion."""

from __future__ import annotations

import math
from typing import Any

from tda_nerfstudio.atlas.layouts.frames import Frame
from tda_nerfstudio.atlas.lenses import Lens
from tda_nerfstudio.atlas.resampling import same_shape
from tda_nerfstudio.base.errors import TdaError

COEFFICIENTS = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
"""Distortion coefficients of OpenCV's lens model, in OpenCV's order."""
_PARAMS = ("k1", "k2", "k3", "k4", "p1", "p2")  # the order in nerfstudio's distortion_params
_FISHEYE = "OPENCV_FISHEYE"
MODELS = ("PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE", "OPENCV", "RADIAL", "SIMPLE_RADIAL", _FISHEYE)
"""Values of camera_model that can be read."""

_NAMES = ("a focal length in x", "a focal length in y", "cx", "cy")
_NEAREST, _FARTHEST = 1e-3, 1e4  # limits of focal lengths, in image sides; the upper one holds for principal points too


def read_camera(frame: Frame, image: tuple[int, int], size: tuple[int, int]) -> tuple[tuple[float, ...], Lens | None]:
    """Return fx, fy, cx, cy in pixels of a (width, height), and the lens where there is distortion to undo.

    The file's numbers are for the image size that it states, or else for the image's own size.
    """
    model = _model(frame)
    width, height = _number(frame, "w", image[0]), _number(frame, "h", image[1])
    if not same_shape((width, height), image):
        raise TdaError(
            f"Image '{frame.name}' is {image[0]} x {image[1]}, but {frame.camera_source} says it is"
            f" {width:g} x {height:g}: another shape, not another size. Correct w and h, or render it again."
        )
    fx, fy = _focal(frame, "x", width), _focal(frame, "y", height)
    fx, fy = fx or fy, fy or fx  # only one of them is given for square pixels
    if fx is None or fy is None:
        raise TdaError(f"{_where(frame)} has neither fl_x nor camera_angle_x. Add one of them.")
    cx, cy = _number(frame, "cx", width / 2), _number(frame, "cy", height / 2)
    x, y = size[0] / width, size[1] / height
    coefficients = _distortion(frame)
    if fisheye := model == _FISHEYE:
        k1, k2, p1, p2, k3, k4, k5, k6 = coefficients
        if any((p1, p2, k5, k6)):
            raise TdaError(f"{_where(frame)} has {_FISHEYE} with p1, p2, k5 or k6; it has k1 to k4 alone. Correct it.")
        coefficients = (k1, k2, k3, k4)
    lens = Lens(fx / width, fy / height, cx / width, cy / height, coefficients, fisheye)
    values = (fx * x, fy * y, cx * x, cy * y)
    for name, value, side, least in zip(_NAMES, values, (*size, *size), (_NEAREST, _NEAREST, 0, 0), strict=True):
        if not least <= value / side <= _FARTHEST:
            raise TdaError(
                f"{_where(frame)} has {name} that is {value / side:.4g} times its image's side; it must be"
                f" {f'{least:g} to ' if least else 'at most '}{_FARTHEST:g} times. Correct the camera."
            )
    return values, lens if fisheye or any(coefficients) else None


def _where(frame: Frame) -> str:
    return f"{frame.camera_source}: '{frame.name}'"


def _model(frame: Frame) -> str:
    """Return the name of the camera's model; raises TdaError for one that cannot be read."""
    fisheye = frame.camera.get("is_fisheye")
    if not isinstance(fisheye, bool | None):
        raise TdaError(f"{_where(frame)} has is_fisheye {fisheye!r}; it must be true or false. Correct it.")
    model = str(frame.camera.get("camera_model") or (_FISHEYE if fisheye else "PINHOLE"))
    if model.upper() not in MODELS:
        raise TdaError(
            f"{_where(frame)} has the camera_model {model}, which is not supported. Supported are {', '.join(MODELS)}."
            " Convert its images to one of them, or leave it out."
        )
    return model.upper()


def _focal(frame: Frame, axis: str, size: float) -> float | None:
    """Return a focal length in pixels, from an angle in radians where there is none; None where there is neither."""
    length, angle = f"fl_{axis}", f"camera_angle_{axis}"
    if length in frame.camera:
        return _number(frame, length, None)
    if angle not in frame.camera:
        return None
    value = frame.camera[angle]
    if not _is_finite(value) or not 0 < value < math.pi:
        problem = f"is {value!r}, not in (0, pi) radians. Correct it."
        raise TdaError(f"{frame.camera_source}: {angle} of '{frame.name}' {problem}")
    return 0.5 * size / math.tan(0.5 * value)


def _number(frame: Frame, key: str, default: float | None) -> float:
    """Return a positive number of the camera."""
    value = frame.camera.get(key, default)
    if not _is_number(value):
        raise TdaError(f"{frame.camera_source}: {key} of '{frame.name}' is {value!r}, not a number. Write it as one.")
    if not _is_finite(value) or value <= 0:
        raise TdaError(f"{frame.camera_source}: {key} of '{frame.name}' is {value!r}; it must be positive and finite.")
    return value


def _distortion(frame: Frame) -> tuple[float, ...]:
    """Return the coefficients in OpenCV's order; distortion_params win over single keys."""
    params = frame.camera.get("distortion_params")
    if params is not None and (not isinstance(params, list) or len(params) != len(_PARAMS)):
        raise TdaError(f"{_where(frame)} has distortion_params {params!r}; they must be {' '.join(_PARAMS)}.")
    camera = {**frame.camera, **dict(zip(_PARAMS, params or (), strict=False))}
    for key in COEFFICIENTS:
        if not _is_number(value := camera.get(key, 0)) or not _is_finite(value):
            kind = "not finite" if _is_number(value) else "not a number"
            raise TdaError(f"{frame.camera_source}: {key} is {value!r}, {kind}, for '{frame.name}'. Write it as one.")
    return tuple(float(camera.get(key, 0)) for key in COEFFICIENTS)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    """Say whether a value from a file is a finite number (JSON knows NaN, infinity and integers of any length)."""
    return _is_number(value) and abs(value) < 1e30
