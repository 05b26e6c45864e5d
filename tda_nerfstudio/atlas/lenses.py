"""Lenses that bend straight lines, and how to undo that in their images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

_OUTSIDE = -9.0  # pixels: a place outside every image


@dataclass(frozen=True)
class Lens:
    """A distorting lens in OpenCV's terms; intrinsics are shares of the image's width and height.

    The coefficients are k1 k2 p1 p2 k3 k4 k5 k6, or k1 k2 k3 k4 of a fisheye.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    coefficients: tuple[float, ...]
    fisheye: bool = False

    def undistort(self, pixels: Float32[np.ndarray, "height width 4"]) -> Float32[np.ndarray, "height width 4"]:
        """Resample premultiplied pixels as seen by a pinhole of the same size and intrinsics.

        Pixels that the lens did not see are transparent. OpenCV's pixel centres are at whole numbers, ours at halves.
        """
        import cv2

        height, width = pixels.shape[:2]
        fx, fy, cx, cy = self.fx * width, self.fy * height, self.cx * width - 0.5, self.cy * height - 0.5
        camera = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        make = cv2.fisheye.initUndistortRectifyMap if self.fisheye else cv2.initUndistortRectifyMap
        x, y = make(camera, np.array(self.coefficients), np.eye(3), camera, (width, height), cv2.CV_32FC1)
        radius = np.hypot((np.arange(width) - cx) / fx, (np.arange(height)[:, None] - cy) / fy)
        x[radius >= self._limit(float(radius.max()))] = _OUTSIDE
        return cv2.remap(pixels, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0, 0))

    def _limit(self, reach: float) -> float:
        """Find the radius beyond which the formula folds back: it would show the image's border a second time."""
        radius = np.linspace(0, reach, 1024)
        falling = np.flatnonzero(~(np.diff(self._bent(radius)) > 0))
        return float(radius[falling[0]]) if len(falling) else np.inf

    def _bent(self, radius: NDArray) -> NDArray:
        """Return how far from the centre the lens shows what a pinhole shows at a radius, both at focal length 1."""
        if self.fisheye:
            angle = np.arctan(radius)
            return angle * np.polyval([*self.coefficients[::-1], 1], angle**2)
        k1, k2, _, _, k3, k4, k5, k6 = self.coefficients
        with np.errstate(divide="ignore", invalid="ignore"):
            return radius * np.polyval([k3, k2, k1, 1], radius**2) / np.polyval([k6, k5, k4, 1], radius**2)
