"""What `Live` sees, handed to nerfstudio's writer: TensorBoard, Weights & Biases and Comet."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from nerfstudio.configs import base_config  # noqa: F401 (the writer cannot be imported before it)
from nerfstudio.utils import writer
from torch import Tensor
from torch.nn.functional import interpolate

from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.learning.live import Live, Sight

GROUP = "Live"
STRIP, PAIR = ("truth", "encoded", "rendered", "decoded"), ("started", "reconstructed")
"""Images of a strip from left to right, and of the autoencoder at the start and now."""


class LiveEvents:
    """Hand what `Live` sees to nerfstudio's writers, if there are any. An error is said once, and ends nothing."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.told = False

    def write(self) -> None:
        """Look at the active scene, and queue images and numbers."""
        if all(isinstance(one, writer.LocalWriter) for one in writer.EVENT_WRITERS):
            return
        try:
            put(self.live.look())
        except Exception as error:
            if not self.told:
                self.told = True
                CONSOLE.print(f"Live images cannot be written. {error}", style="yellow", markup=False)


def put(sight: Sight) -> None:
    """Queue what is seen for all of nerfstudio's writers: images side by side, and numbers."""
    writer.put_image(f"{GROUP}/strip", beside(sight, STRIP), sight.step)
    if "started" in sight.images:
        writer.put_image(f"{GROUP}/autoencoder at the start and now", beside(sight, PAIR), sight.step)
    numbers = {f"psnr {name}": value for name, value in sight.psnr.items()}
    numbers |= {f"high frequencies {name}": value for name, value in sight.shares.items()}
    writer.put_dict(GROUP, numbers, sight.step)


def beside(sight: Sight, names: Sequence[str]) -> Float[Tensor, "height width 3"]:
    """Put images beside each other, all as large as the truth; latents keep their pixels as squares."""
    size = sight.images["truth"].shape[1:]
    images = [interpolate(sight.images[name][None], size)[0] for name in names if name in sight.images]
    return torch.cat(images, 2).permute(1, 2, 0).contiguous()
