"""Pictures of a scene as WebP files: the sheet of a turn, and views beside their truth."""

from __future__ import annotations

import io

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from tda_nerfstudio.looking.colouring import picture

ERROR = 0.25
"""Mean absolute error of a pixel's colours that is shown in black; none is white."""
LEAST_SIDE = 16


def sheet_of(frames: Float[Tensor, "frame 3 height width"], columns: int) -> UInt8[np.ndarray, "rows across 3"]:
    """Lay frames in [0, 1] side by side, `columns` in a row; what is left of the last row is white."""
    count, _, height, width = frames.shape
    rows = -(-count // columns)
    full = frames.new_ones(rows * columns, 3, height, width)
    full[:count] = frames
    return picture(full.view(rows, columns, 3, height, width).permute(2, 0, 3, 1, 4).flatten(1, 2).flatten(2, 3))


def beside_truth(
    truth: Float[Tensor, "3 height width"], decoded: Float[Tensor, "3 height width"]
) -> UInt8[np.ndarray, "height across 3"]:
    """Lay the truth, the decoded image and their absolute error side by side."""
    error = 1 - ((decoded - truth).abs().mean(0, keepdim=True) / ERROR).clamp(0, 1)
    return picture(torch.cat([truth, decoded, error.expand(3, -1, -1)], -1))


def encoded(pixels: UInt8[np.ndarray, "height width 3"], quality: int, most: int, width: int | None = None) -> bytes:
    """Encode a picture as WebP of at most `most` bytes: with this quality, else with less, else with fewer pixels.

    It is made `width` pixels wide first if it is wider.
    """
    image = Image.fromarray(pixels)
    if width is not None and image.width > width:
        image = image.resize((width, max(round(image.height * width / image.width), 1)), Image.Resampling.LANCZOS)
    while True:
        for share in (1.0, 0.75, 0.5, 0.25):
            file = io.BytesIO()
            image.save(file, "webp", quality=max(round(quality * share), 1), method=4)
            if file.tell() <= most:
                return file.getvalue()
        if min(image.size) < 2 * LEAST_SIDE:
            return file.getvalue()
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
