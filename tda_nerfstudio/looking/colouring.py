"""Outputs as pictures: 8-bit RGB that means the same in every view."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from tda_nerfstudio.core.enlarging import foreground

NEAR_TO_FAR = ((253, 231, 37), (94, 201, 98), (33, 145, 140), (59, 82, 139), (68, 1, 84))
"""Colours of depths and errors: viridis' (M. Bostock's and S. van der Walt's CC0 map), at even steps."""


def ramp(values: Float[Tensor, "h w"]) -> Float[Tensor, "3 h w"]:
    """Colour values in [0, 1], from the first to the last of NEAR_TO_FAR."""
    stops = torch.tensor(NEAR_TO_FAR, device=values.device, dtype=torch.float32) / 255
    at = values.clamp(0, 1) * (len(stops) - 1)
    low = at.long().clamp(max=len(stops) - 2)
    return torch.lerp(stops[low], stops[low + 1], (at - low)[..., None]).permute(2, 0, 1)


def depth_colours(depth: Float[Tensor, "1 h w"], near: float, far: float) -> Float[Tensor, "3 h w"]:
    """Colour depths in world units from near to far; white where there is none (0)."""
    return torch.where(depth > 0, ramp((depth[0] - near) / max(far - near, 1e-9)), torch.ones_like(depth))


def error_colours(error: Float[Tensor, "1 h w"], most: float = 0.25) -> Float[Tensor, "3 h w"]:
    """Colour absolute errors: none is dark, `most` and more is bright."""
    return ramp(1 - error[0] / most)


def picture(image: Float[Tensor, "channel h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Make 8-bit RGB of an image in [0, 1] with one or three channels."""
    return (image.expand(3, -1, -1).permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def with_alpha(
    image: Float[Tensor, "3 height width"], opacity: Float[Tensor, "1 height width"]
) -> UInt8[np.ndarray, "height width 4"]:
    """Take white off an image by its opacity: RGBA, whose colours are not multiplied by alpha."""
    alpha = (opacity * 255).round().clamp(0, 255) / 255
    return np.concatenate([picture(foreground(image, alpha)), picture(alpha)[..., :1]], axis=2)
