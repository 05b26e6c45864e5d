"""Colours of surfaces in files that give sRGB colours or none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from tda_nerfstudio.making.models.parts import Material
from tda_nerfstudio.making.models.textures import Texture
from tda_nerfstudio.making.srgb import to_linear

GREY = 0.6
"""sRGB colour of surfaces whose file gives none."""


def srgb_material(colour: Sequence[float] | float, texture: Texture | None = None) -> Material:
    """Make an opaque material of an sRGB colour, times a texture."""
    red, green, blue = to_linear(np.clip(np.broadcast_to(np.array(colour, np.float64), 3), 0, 1)).tolist()
    return Material((red, green, blue, 1.0), texture)


def linear_colours(colours: NDArray) -> Float[np.ndarray, "row 4"]:
    """Convert rows of sRGB: integers of any width, or floats up to 1 (up to 255 if any is above 1)."""
    if colours.dtype.kind in "iu":
        values = colours / np.iinfo(colours.dtype).max
    else:
        values = colours / (255 if np.nanmax(colours, initial=0) > 1 else 1)
    linear = to_linear(np.clip(np.where(np.isnan(values), GREY, values), 0, 1))
    return np.concatenate([linear, np.ones((len(linear), 1))], 1)
