"""Images at another size."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

_TOLERANCE = 0.02  # by which rounding may change the shape of a small image


def same_shape(size: tuple[float, float], other: tuple[float, float]) -> bool:
    """Say whether two (width, height) differ in scale alone, but for the rounding of either to whole pixels."""
    (a, b), (c, d) = sorted((size, other))
    rounded = abs(a - c * b / d) <= 1 or abs(b - d * a / c) <= 1
    return rounded and abs(a * d - b * c) <= _TOLERANCE * b * c


def resample(
    pixels: Float32[np.ndarray, "h w channel"], width: int, height: int
) -> Float32[np.ndarray, "height width channel"]:
    """Average over the area of each new pixel, or interpolate where the new image is the larger one."""
    if pixels.shape[:2] == (height, width):
        return pixels
    import cv2

    shrinks = width <= pixels.shape[1] and height <= pixels.shape[0]
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
