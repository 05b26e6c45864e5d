"""What commands write: kinds of files, and images as pictures a person can read."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
PAGES = (".html", ".htm")
PLOTS = (".png", ".svg", ".pdf")


def image_picture(image: Float[Tensor, "3 height width"]) -> UInt8[np.ndarray, "height width 3"]:
    """Turn an image in [0, 1] into 8-bit RGB."""
    return (image.permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
