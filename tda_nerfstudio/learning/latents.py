"""Latents of training images, encoded once for all steps in which the encoder does not move."""

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
    """Look up normalised latents of training images.

    The first call encodes all images; so does the first call after `drop`. With a folder, latents are kept on disk for
    later runs. RGB "latents" (f = 1) are made at every call, since they take four times the memory of their images.
    """

    def __init__(self, codec: Autoencoder, views: SceneViews, folder: Path | None = None) -> None:
        self.codec, self.views, self.folder = codec, views, folder
        self.cache: LatentCache | None = None

    def __call__(self, index: Int[Tensor, " view"]) -> Float[Tensor, "view channel h w"]:
        """Return nu(E(x)) of training views, on the device of the views. Raises TdaError for an unreadable image."""
        if self.codec.f == 1:
            return self.encode(index)
        if self.cache is None:
            encode, warn = partial(self.encode, keep=False), partial(CONSOLE.print, style="yellow", markup=False)
            self.cache = LatentCache(self.views.atlas, encode, self.codec.fingerprint(), self.folder, warn)
        return self.cache[index].to(self.views.device)

    @torch.no_grad()
    def encode(self, index: Int[Tensor, " view"], keep: bool = True) -> Float[Tensor, "view channel h w"]:
        """Encode training views with the encoder as it is now. With `keep`, their images stay in memory."""
        return self.codec.normalise(self.codec.encode(self.views.images(self.views.train, index, keep)))

    def drop(self) -> None:
        """Forget all latents. Call this when the encoder moves."""
        self.cache = None
