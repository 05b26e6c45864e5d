"""A fine autoencoder: latents are an image's own colours, pixel by pixel; a small network mends what is rendered."""

from __future__ import annotations

from torch import Tensor, nn

from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.core.layers import ResidualBlock, Shortcut, conv, faint


class FineAutoencoder(Autoencoder):
    """Pixels, plus what residual networks of `blocks` blocks and `width` channels at 1/f of the resolution add.

    A latent pixel has f x f parts of 3 channels: one for every pixel of the image. Both networks add nothing as they
    start, so that latents are colours, and decoding is exact. With `encodes` false the encoder has no network: it stays
    so, nu is the identity, and the decoder alone learns, to mend what renderings lose.
    """

    def __init__(self, f: int = 2, width: int = 32, blocks: int = 3, encodes: bool = False) -> None:
        super().__init__(f, 3 * f**2, f)

        def network() -> nn.Sequential:
            body = [ResidualBlock(width) for _ in range(blocks)]
            return nn.Sequential(conv(3 * f**2, width), *body, faint(conv(width, 3 * f**2), 0))

        self.keeps_pixels = not encodes
        apart, together = nn.PixelUnshuffle(f), nn.PixelShuffle(f)
        deep = nn.Sequential(nn.PixelUnshuffle(f), *network())
        self.encoder = Shortcut(deep, nn.Sequential(apart)) if encodes else apart
        self.decoder = Shortcut(nn.Sequential(*network(), nn.PixelShuffle(f)), nn.Sequential(together))

    def normalise(self, z: Tensor) -> Tensor:
        """Map raw latents to (-1, 1), where pixels are already."""
        return z if self.keeps_pixels else super().normalise(z)

    def denormalise(self, y: Tensor) -> Tensor:
        """Invert `normalise`."""
        return y if self.keeps_pixels else super().denormalise(y)

    def calibrate(self, latents: Tensor) -> None:
        """Set the latent scale, which pixels do not need."""
        if not self.keeps_pixels:
            super().calibrate(latents)
