"""sRGB and linear light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def to_linear(srgb: NDArray) -> NDArray:
    """Convert sRGB values in [0, 1] to linear light."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: NDArray) -> NDArray:
    """Convert linear light in [0, 1] to sRGB values."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


LINEAR = to_linear(np.arange(256) / 255).astype(np.float32)
"""The linear light of every 8-bit sRGB value."""
