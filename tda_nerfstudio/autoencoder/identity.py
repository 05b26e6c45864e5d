"""No autoencoder: "latents" are pixels in [-1, 1], so that RGB scenes take the same path as latent scenes."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tda_nerfstudio.autoencoder.base import Autoencoder


class IdentityAutoencoder(Autoencoder):
    """An autoencoder that changes nothing: no parameters, a white background; nu is the identity.

    A latent pixel is f x f pixels of the image, each of which is a part of 3 channels.
    """

    keeps_pixels = True

    def __init__(self, f: int = 2) -> None:
        super().__init__(f, 3 * f**2, f)
        self.encoder, self.decoder = nn.PixelUnshuffle(f), nn.PixelShuffle(f)
        self.background.fill_(1.0)

    def normalise(self, z: Tensor) -> Tensor:
        """Return pixels as they are."""
        return z

    def denormalise(self, y: Tensor) -> Tensor:
        """Return pixels as they are."""
        return y

    def calibrate(self, latents: Float[Tensor, "image C h w"]) -> None:
        """Do nothing: pixels need no scale."""

    def measure_background(self, height: int, width: int) -> None:
        """Set the background to white."""
        self.background.copy_(torch.ones_like(self.background))
