"""Latents of training images: made once while the encoder stands still."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tda_nerfstudio.atlas.latent_cache import LatentCache
from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.learning.views import SceneViews


class TrainingLatents:
    """Give normalised latents of training images. All are encoded at the first call after the encoder moved.

    With a folder they are kept on disk for later runs. RGB "latents" (f = 1) are made anew each time, as they would
    take four times the memory of their images.
    """

    def __init__(self, codec: Autoencoder, views: SceneViews, folder: Path | None = None) -> None:
        self.codec, self.views, self.folder = codec, views, folder
        self.cache: LatentCache | None = None

    def __call__(self, index: Int[Tensor, " view"]) -> Float[Tensor, "view channel h w"]:
        """Look up the latents of some training views."""
        if self.codec.f == 1:
            return self.encode(index)
        if self.cache is None:
            encode, warn = partial(self.encode, keep=False), partial(CONSOLE.print, style="yellow", markup=False)
            self.cache = LatentCache(self.views.atlas, encode, self.codec.fingerprint(), self.folder, warn)
        return self.cache[index].to(self.views.device)

    @torch.no_grad()
    def encode(self, index: Int[Tensor, " view"], keep: bool = True) -> Float[Tensor, "view channel h w"]:
        """Encode images with the encoder as it is now, and keep the images in memory unless told otherwise."""
        return self.codec.normalise(self.codec.encode(self.views.images(self.views.train, index, keep)))

    def drop(self) -> None:
        """Forget what was encoded, as the encoder moves."""
        self.cache = None
