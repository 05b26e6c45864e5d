"""What commands write: files whose kind is checked before the work, and tensors as pictures a person can read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from tda_nerfstudio.base.atomic import require_writable
from tda_nerfstudio.base.counts import require_counts as require_counts
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.latent_colours import three_of

VIDEOS = (".mp4", ".mov", ".mkv", ".avi")
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
PAGES = (".html", ".htm")
PLOTS = (".png", ".svg", ".pdf")


def require_output(path: Path, kinds: tuple[str, ...]) -> None:
    """Raise TdaError unless a file of one of these kinds, told by their suffixes, can be written there."""
    if path.is_dir() or path.suffix.lower() not in kinds:
        what = "is a folder" if path.is_dir() else f"ends in '{path.suffix}'" if path.suffix else "has no suffix"
        name = path / f"output{kinds[0]}" if path.is_dir() or not path.name else path.with_suffix(kinds[0])
        raise TdaError(f"The output {path} {what}: what kind of file is it to be? Name it {name}, for example.")
    require_writable(path.parent)


def as_picture(name: str, values: Float[Tensor, "height width channel"]) -> UInt8[np.ndarray, "height width 3"]:
    """Turn an output into 8-bit RGB: all in [0, 1] as it is, latents by three channels, depth near = bright."""
    if name == "latent":
        values = values[..., three_of(values.shape[-1])]
    elif name == "depth":
        near, far = values.min(), values.max()
        values = ((far - values) / (far - near).clamp(min=1e-6)).expand(-1, -1, 3)
    elif values.shape[-1] == 1:
        values = values.expand(-1, -1, 3)
    return (values.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def image_picture(image: Float[Tensor, "3 height width"]) -> UInt8[np.ndarray, "height width 3"]:
    """Turn an image in [0, 1] into 8-bit RGB."""
    return as_picture("rgb", image.permute(1, 2, 0))
