"""A light convolutional autoencoder: space-to-depth at both ends, so that no layer works at full resolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tda_nerfstudio.autoencoder.base import Autoencoder


def _conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    # Replicated borders: a constant image stays constant, so that empty space has one latent.
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, padding_mode="replicate")


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions added to their input; nearly the identity at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = _conv(width, width), _conv(width, width)
        with torch.no_grad():
            self.second.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        return x + self.second(nn.functional.silu(self.first(nn.functional.silu(x))))


class LightAutoencoder(Autoencoder):
    """Work at 2/f and 1/f of the resolution, with `width` and 2 * `width` channels and `blocks` residual blocks each."""

    def __init__(self, f: int = 8, channels: int = 4, width: int = 64, blocks: int = 2) -> None:
        super().__init__(f, channels)
        half, pixels = f // 2, 3 * (f // 2) ** 2
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(half),
            _conv(pixels, width),
            *(ResidualBlock(width) for _ in range(blocks)),
            nn.PixelUnshuffle(2),
            _conv(4 * width, 2 * width, 1),
            *(ResidualBlock(2 * width) for _ in range(blocks)),
            _conv(2 * width, channels),
        )
        self.decoder = nn.Sequential(
            _conv(channels, 2 * width),
            *(ResidualBlock(2 * width) for _ in range(blocks)),
            _conv(2 * width, 4 * width, 1),
            nn.PixelShuffle(2),
            *(ResidualBlock(width) for _ in range(blocks)),
            nn.SiLU(),
            _conv(width, pixels),
            nn.PixelShuffle(half),
        )
