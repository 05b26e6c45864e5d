"""Latents of training images, encoded once for all steps in which the encoder does not move."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pixel_shuffle

from tda_nerfstudio.atlas.latent_cache import LatentCache
from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.core.cameras import parts_shape
from tda_nerfstudio.core.objective import Parts, latent_variance
from tda_nerfstudio.learning.views import SceneViews

PIXEL_VARIANCE = 0.2
"""Of the pixels of an image of an object, in [-1, 1]."""


class TrainingLatents:
    """Look up normalised latents of training images.

    The first call encodes all images; so does the first call after `drop`. With a folder, latents are kept on disk for
    later runs. Latents that are pixels are made at every call, since they take four times the memory of their images.
    """

    def __init__(self, codec: Autoencoder, views: SceneViews, folder: Path | None = None) -> None:
        self.codec, self.views, self.folder = codec, views, folder
        self.cache: LatentCache | None = None
        self._variance: dict[int, Tensor] = {}

    def __call__(self, index: Int[Tensor, " view"], keep: bool = True) -> Float[Tensor, "view channel h w"]:
        """Return nu(E(x)) of training views, on the device of the views. Raises TdaError for an unreadable image.

        Without `keep`, only these views are encoded, and nothing is kept of them.
        """
        if self.codec.keeps_pixels or not keep:
            return self.encode(index, keep)
        if self.cache is None:
            encode, warn = partial(self.encode, keep=False), partial(CONSOLE.print, style="yellow", markup=False)
            self.cache = LatentCache(self.views.atlas, encode, self.codec.fingerprint(), self.folder, warn)
        return self.cache[index].to(self.views.device)

    def parts(self, index: Int[Tensor, " view"], parts: Int[Tensor, "view part"], keep: bool = True) -> Parts:
        """Return some parts of the latents of training views, with the variance of each whole view."""
        if self.codec.keeps_pixels and keep and (found := self._pixels(index, parts)) is not None:
            latents = found
        else:
            whole = self(index, keep)
            latents = self._together(whole).gather(
                2, parts[:, None].expand(-1, self.codec.point_channels, -1).to(whole.device)
            )
        return Parts(parts.to(latents.device), latents, self._variances(index, keep))

    def _together(self, latents: Float[Tensor, "view channel h w"]) -> Float[Tensor, "view channel part"]:
        return pixel_shuffle(latents, self.codec.sub).flatten(2)

    def _pixels(self, index: Tensor, parts: Tensor) -> Float[Tensor, "view channel part"] | None:
        """Read single pixels of images; None where one of the images cannot be read."""
        height, width = self.views.height, self.views.width
        _, columns = parts_shape(height, width, self.codec.f, self.codec.sub)
        place = (parts // columns).clamp(max=height - 1) * width + (parts % columns).clamp(max=width - 1)
        try:
            pixels = self.views.train.files.at(index.tolist(), place)
        except TdaError:
            return None
        values = pixels.to(self.views.device).float().div_(127.5).sub_(1)
        return self.codec.normalise(values).transpose(1, 2)

    def _variances(self, index: Tensor, keep: bool) -> Float[Tensor, "view channel 1"]:
        """Compute the variance of views' latents, over all parts; what is kept is computed once.

        Pixels have the same everywhere, so that all views count alike, as in PSNR.
        """
        if self.codec.keeps_pixels:
            return torch.full((1, 1, 1), PIXEL_VARIANCE, device=self.views.device)
        missing = [view for view in index.unique().tolist() if view not in self._variance]
        found = dict(self._variance)
        if missing:
            latents = self._together(self(torch.tensor(missing), keep))
            found |= zip(missing, latent_variance(latents[..., None], together=False)[..., 0], strict=True)
        if keep:
            self._variance = found
        return torch.stack([found[view] for view in index.tolist()])

    @torch.no_grad()
    def encode(self, index: Int[Tensor, " view"], keep: bool = True) -> Float[Tensor, "view channel h w"]:
        """Encode training views with the encoder as it is now. With `keep`, their images stay in memory."""
        return self.codec.normalise(self.codec.encode(self.views.images(self.views.train, index, keep)))

    def drop(self) -> None:
        """Forget all latents. Call this when the encoder moves."""
        self.cache = None
        self._variance = {}
