"""A light convolutional autoencoder: space-to-depth at both ends, so that no layer works at full resolution."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tda_nerfstudio.autoencoder.base import Autoencoder, reduced_precision
from tda_nerfstudio.core.layers import ResidualBlock, Shortcut, conv, faint


def frequencies(f: int, channels: int) -> tuple[Tensor, Tensor]:
    """Return the strongest frequencies of an f x f patch of RGB pixels: a basis [C, 3 f^2] and standard deviations [C].

    The basis is orthonormal: the discrete cosine transform of brightness and of two colour differences. It is sorted by
    variance in images in [-1, 1], which is about 1/50 of the constant's over the squared frequency, and a sixth of that
    in colour differences. Pixels of a patch are in the order of PixelUnshuffle. Rows beyond 3 f^2 are zero.
    """
    place, order = torch.arange(f) + 0.5, torch.arange(f)[:, None]
    cosines = torch.cos(math.pi / f * order * place) * torch.where(order == 0, 1.0, math.sqrt(2)) / math.sqrt(f)
    colours = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
    colours /= colours.norm(dim=1, keepdim=True)
    basis = torch.einsum("kc,ui,vj->kuvcij", colours, cosines, cosines).reshape(3 * f**2, 3 * f**2)
    square = (order**2 + order.T**2).float()
    share = torch.where(square == 0, 1.0, 0.02 / square.clamp(min=1))
    variance = (f**2 * torch.tensor([1.0, 0.17, 0.15])[:, None, None] * share).flatten()
    best = variance.argsort(descending=True, stable=True)[:channels]
    missing = channels - len(best)
    pad = torch.nn.functional.pad
    return pad(basis[best], (0, 0, 0, missing)), pad(variance[best].sqrt(), (0, missing), value=1.0)


class LightAutoencoder(Autoencoder):
    """Our own autoencoder: `blocks` residual blocks of `width` channels at 1/f of the resolution, and one at 2/f.

    The block at 2/f has width / 4 channels. A latent pixel has sub x sub parts of C / sub^2 channels each. The linear
    path starts as a small JPEG: the strongest frequencies of each part's patch of the image.
    """

    encoder: Shortcut
    decoder: Shortcut

    def __init__(self, f: int = 8, channels: int = 16, width: int = 128, blocks: int = 3, sub: int = 2) -> None:
        super().__init__(f, channels, sub)
        half, fine, part, apart = f // 2, width // 4, f // sub, channels // sub**2
        pixels = 3 * half**2
        to_latents: list[nn.Module] = [faint(conv(width, channels))]
        from_latents: list[nn.Module] = [conv(channels, width)]
        if sub > 1:
            each = max(width // sub**2, width // 8)
            to_latents = [
                conv(width, sub**2 * each, 1),
                nn.PixelShuffle(sub),
                faint(conv(each, apart)),
                nn.PixelUnshuffle(sub),
            ]
            from_latents = [
                nn.PixelShuffle(sub),
                conv(apart, each),
                nn.PixelUnshuffle(sub),
                conv(sub**2 * each, width, 1),
            ]
        deep_encoder = nn.Sequential(
            nn.PixelUnshuffle(half),
            conv(pixels, fine),
            ResidualBlock(fine),
            nn.PixelUnshuffle(2),
            conv(4 * fine, width, 1),
            *(ResidualBlock(width) for _ in range(blocks)),
            *to_latents,
        )
        deep_decoder = nn.Sequential(
            *from_latents,
            *(ResidualBlock(width) for _ in range(blocks)),
            conv(width, 4 * fine, 1),
            nn.PixelShuffle(2),
            ResidualBlock(fine),
            faint(conv(fine, pixels)),
            nn.PixelShuffle(half),
        )
        analysis, synthesis = nn.Conv2d(3 * part**2, apart, 1), nn.Conv2d(apart, 3 * part**2, 1)
        basis, spread = frequencies(part, apart)
        with torch.no_grad():
            analysis.weight.copy_((basis / spread[:, None])[:, :, None, None])
            synthesis.weight.copy_((basis * spread[:, None]).T[:, :, None, None])
            for bias in (analysis.get_parameter("bias"), synthesis.get_parameter("bias")):
                bias.zero_()
        self.encoder = Shortcut(deep_encoder, nn.Sequential(nn.PixelUnshuffle(part), analysis, nn.PixelUnshuffle(sub)))
        self.decoder = Shortcut(deep_decoder, nn.Sequential(nn.PixelShuffle(sub), synthesis, nn.PixelShuffle(part)))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def encode_colours(self) -> None:
        """Let the encoder's deep path add nothing: latents are the strongest frequencies of each part's pixels."""
        last = [layer for layer in self.encoder.deep.modules() if isinstance(layer, nn.Conv2d)][-1]
        faint(last, 0)

    def _decode(self, latents: Tensor) -> Tensor:
        """Decode raw latents to images in [-1, 1].

        Without gradients, on CPUs that have it, bfloat16 is used in the residual blocks alone. That is 1.4 to 1.6 times
        as fast as float32 and changes images of objects by less than 0.01 dB (a page of text, whose latents are
        extreme, by 1.6 dB). In all layers it would be 1.5 to 1.8 times as fast, and cost 0.08 dB.
        """
        if torch.is_grad_enabled() or latents.is_cuda:
            return self.decoder(latents)
        x = latents
        for layer in self.decoder.deep.children():
            with reduced_precision(latents, wanted=isinstance(layer, ResidualBlock)):
                x = layer(x)
        return x + self.decoder.linear(latents)
