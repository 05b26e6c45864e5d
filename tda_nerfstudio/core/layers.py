"""Layers of our own convolutional networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv(inputs: int, outputs: int, size: int = 3) -> nn.Conv2d:
    """Make a convolution with replicated borders: a constant image stays constant, so empty space has one latent."""
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, padding_mode="replicate")


def faint(layer: nn.Conv2d, share: float = 0.1) -> nn.Conv2d:
    """Scale initial weights down, so that a residual path starts close to zero; with a share of 0 it starts there."""
    with torch.no_grad():
        layer.weight.mul_(share)
        if share == 0 and layer.bias is not None:
            layer.bias.zero_()
    return layer


class PixelNorm(nn.Module):
    """Scale every pixel's features to a root mean square of 1, then each channel by a learnt gain.

    Nothing is averaged over the image, since a latent pixel must not depend on distant parts of the image.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [image, width, h, w], keeping shape and precision."""
        square = (x if x.dtype == torch.float64 else x.float()).square().mean(1, keepdim=True)
        return x * torch.rsqrt(square + 1e-6).to(x.dtype) * self.gain.to(x.dtype)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions added to their input; initially close to the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.first, self.second = PixelNorm(width), conv(width, width), faint(conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Transform [image, width, h, w], keeping the shape."""
        return x + self.second(torch.relu(self.first(self.norm(x))))


class Shortcut(nn.Module):
    """The sum of a deep and a linear path. The linear path works from the start: training begins with a picture."""

    def __init__(self, deep: nn.Sequential, linear: nn.Sequential) -> None:
        super().__init__()
        self.deep, self.linear = deep, linear

    def forward(self, x: Tensor) -> Tensor:
        """Add the outputs of both paths."""
        return self.deep(x) + self.linear(x)
