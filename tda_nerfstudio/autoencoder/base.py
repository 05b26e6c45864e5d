"""The interface of all autoencoders: images in [0, 1] to raw latents z and back, and z to y = nu(z) in (-1, 1)."""

from __future__ import annotations

import hashlib

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tda_nerfstudio.base.errors import TdaError

CLIP = 1e-4
"""Distance from +-1 at which normalised latents are clipped before nu is inverted."""
SCALE_PACE = 0.05
"""Share by which the latent scale moves to that of the batch at every step in which the encoder trains."""


def reduced_precision(x: Tensor, wanted: bool | None = None) -> torch.autocast:
    """Return a context that computes in bfloat16 if the processor multiplies it natively, else in float32.

    bfloat16 is twice as fast. By default it is `wanted` in training alone, that is where gradients are enabled.
    """
    if x.is_cuda:
        able = torch.cuda.is_bf16_supported()
    else:
        able = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    wanted = torch.is_grad_enabled() if wanted is None else wanted
    return torch.autocast(x.device.type, torch.bfloat16, enabled=able and wanted and x.dtype == torch.float32)


class Autoencoder(nn.Module):
    """An encoder and a decoder with down-scaling f and C latent channels, a latent scale and a background.

    All parameters are below `encoder` or `decoder`, the two parameter groups. Buffers: latent_scale [], the a of
    nu(z) = tanh(a z), and background [C], the normalised latent of empty (white) space.
    """

    f: int
    """Image pixels along each side of a latent pixel."""
    channels: int
    """C: latent channels."""
    sub: int
    """A latent pixel has sub x sub parts; its C channels are those of the parts, as PixelUnshuffle lays them out."""
    encoder: nn.Module
    decoder: nn.Module
    keeps_pixels: bool = False
    """Whether raw latents are the pixels in [-1, 1] themselves, so that nothing is gained by keeping latents."""

    def __init__(self, f: int, channels: int, sub: int = 1) -> None:
        super().__init__()
        self.f, self.channels, self.sub = f, channels, sub
        self.register_buffer("latent_scale", torch.tensor(1.0))
        self.register_buffer("background", torch.zeros(channels))
        self.latent_scale: Tensor
        self.background: Tensor

    @property
    def point_channels(self) -> int:
        """Latent channels of a point of a scene: C / sub^2, those of one part of a latent pixel."""
        return self.channels // self.sub**2

    def encode(
        self, images: Float[Tensor, "image 3 height width"], noise: Float[Tensor, "image C h w"] | None = None
    ) -> Float[Tensor, "image C h w"]:
        """Encode images in [0, 1] to raw latents: the posterior's mean, or with standard normal noise a sample of it.

        Autoencoders without a posterior ignore the noise. Images whose sides are not multiples of f are padded with
        their last pixels, on the right and below: h = ceil(height / f). Crop decoded images to the original size.
        """
        right, below = -images.shape[-1] % self.f, -images.shape[-2] % self.f
        if right or below:
            images = nn.functional.pad(images, (0, right, 0, below), mode="replicate")
        with reduced_precision(images):
            return self._encode(2 * images - 1, noise).to(images.dtype)

    def _encode(self, images: Tensor, noise: Tensor | None) -> Tensor:
        """Encode images in [-1, 1] to raw latents."""
        return self.encoder(images)

    def decode(self, latents: Float[Tensor, "image C h w"]) -> Float[Tensor, "image 3 height width"]:
        """Decode raw latents to images, nominally in [0, 1] but not clamped."""
        with reduced_precision(latents):
            return (self._decode(latents).to(latents.dtype) + 1) / 2

    def _decode(self, latents: Tensor) -> Tensor:
        """Decode raw latents to images in [-1, 1]."""
        return self.decoder(latents)

    def normalise(self, z: Tensor) -> Tensor:
        """Map raw latents to (-1, 1): nu(z) = tanh(a z) (Sec. 3.1 of 2403.11678)."""
        return torch.tanh(self.latent_scale * z)

    def denormalise(self, y: Tensor) -> Tensor:
        """Invert `normalise`, with y clipped to +-(1 - CLIP)."""
        return torch.atanh(y.clamp(-1 + CLIP, 1 - CLIP)) / self.latent_scale

    def normalise_moving(self, z: Float[Tensor, "image C h w"]) -> Tensor:
        """Normalise by the scale of the batch, and move a towards it; for an encoder that trains.

        L_latent then rewards neither latents that shrink nor latents that grow until tanh saturates.
        """
        scale = 1 / (3 * z.std())
        with torch.no_grad():
            self.latent_scale.lerp_(scale, SCALE_PACE)
        return torch.tanh(scale * z)

    @torch.no_grad()
    def calibrate(self, latents: Float[Tensor, "image C h w"]) -> None:
        """Set a = 1 / (3 std) from raw latents of training images. Raises TdaError unless that is finite."""
        std = latents.std()
        if not torch.isfinite(std) or std == 0:
            raise TdaError(f"The autoencoder's latents have a standard deviation of {float(std)}: it encodes nothing.")
        self.latent_scale.copy_(1 / (3 * std))

    @torch.no_grad()
    def measure_background(self, height: int, width: int) -> None:
        """Set the background: encode a white image of this size and take each channel's median away from the border."""
        blank = self.normalise(self.encode(self.latent_scale.new_ones(1, 3, height, width)))[0]
        h, w = blank.shape[-2:]
        inner = blank[:, h // 4 : max(h - h // 4, h // 4 + 1), w // 4 : max(w - w // 4, w // 4 + 1)]
        self.background.copy_(inner.flatten(1).median(1).values)

    def fingerprint(self) -> str:
        """Hash names, shapes and values of all tensors to 16 hexadecimal digits, the same on every device."""
        digest = hashlib.sha256(f"f={self.f} C={self.channels} sub={self.sub}".encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]
