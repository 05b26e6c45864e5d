"""No autoencoder: "latents" are the image's pixels in [-1, 1], so that RGB scenes take the same path as latent ones."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tda_nerfstudio.autoencoder.base import Autoencoder


class IdentityAutoencoder(Autoencoder):
    """f = 1, C = 3, nothing to train, a white background; nu is the identity."""

    def __init__(self) -> None:
        super().__init__(1, 3)
        self.encoder = nn.Identity()
        self.decoder = nn.Identity()
        self.background.fill_(1.0)

    def normalise(self, z: Tensor) -> Tensor:
        """Return pixels as they are."""
        return z

    def denormalise(self, y: Tensor) -> Tensor:
        """Return pixels as they are."""
        return y

    def calibrate(self, latents: Float[Tensor, "image C h w"]) -> None:
        """Need no scale."""

    def measure_background(self, height: int, width: int) -> None:
        """Know the background: white."""
        self.background.copy_(torch.ones_like(self.background))
