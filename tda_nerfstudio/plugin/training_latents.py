"""Latents of training images: made once where the encoder stands still."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tda_nerfstudio.atlas.latent_cache import LatentCache
from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.plugin.multi_scene_datamanager import MultiSceneDataManager
from tda_nerfstudio.plugin.terminal import CONSOLE


class TrainingLatents:
    """Give normalised latents of training images, all encoded at the first call since the encoder moved.

    Where it never moves they are kept on disk for later runs. RGB "latents" (f = 1) are made on the fly: they would
    take four times their images' memory.
    """

    def __init__(self, codec: Autoencoder, manager: MultiSceneDataManager, keep: bool) -> None:
        self.codec, self.manager, self.keep = codec, manager, keep
        self.folder: Path | None = None  # the trainer's to set: runs of one output directory share it
        self.cache: LatentCache | None = None

    def __call__(self, index: Int[Tensor, " view"]) -> Float[Tensor, "view channel h w"]:
        """Look up the latents of some views, counted through the scenes that are served."""
        if self.codec.f == 1:
            return self.encode(index)
        if self.cache is None:
            encode, folder = partial(self.encode, keep=False), self.folder if self.keep else None
            warn = partial(CONSOLE.print, style="yellow", markup=False)
            self.cache = LatentCache(self.manager.atlas, encode, self.codec.fingerprint(), folder, warn)
        return self.cache[index].to(self.manager.device)

    @torch.no_grad()
    def encode(self, index: Int[Tensor, " view"], keep: bool = True) -> Float[Tensor, "view channel h w"]:
        """Encode images with the encoder as it is now, and keep them in memory unless told otherwise."""
        return self.codec.normalise(self.codec.encode(self.manager.train_images(index, keep)))

    def drop(self) -> None:
        """Forget what was encoded: the encoder moves, or other scenes are served."""
        self.cache = None
