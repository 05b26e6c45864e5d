"""Image quality, per image, of clamped images."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def psnr(
    images: Float[Tensor, "image channel height width"], truth: Float[Tensor, "image channel height width"]
) -> Float[Tensor, " image"]:
    """Peak signal-to-noise ratio in dB of each image clamped to [0, 1]; 100 dB when there is no error."""
    error = (images.clamp(0, 1) - truth).square().flatten(1).mean(1)
    return -10 * torch.log10(error.clamp(min=1e-10))


def ssim(
    images: Float[Tensor, "image channel height width"], truth: Float[Tensor, "image channel height width"]
) -> Float[Tensor, " image"]:
    """Structural similarity of each image clamped to [0, 1] (11 x 11 Gaussian window, as published)."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    value = structural_similarity_index_measure(images.clamp(0, 1), truth, data_range=1.0, reduction="none")
    return torch.as_tensor(value).reshape(-1)


def high_frequency_share(latents: Float[Tensor, "image channel h w"]) -> float:
    """Share of the latents' spatial variance above half the Nyquist frequency: how rough a latent space is."""
    centred = latents - latents.mean((-2, -1), keepdim=True)
    power = torch.fft.fft2(centred).abs().square().mean((0, 1))
    y = torch.fft.fftfreq(latents.shape[-2], device=latents.device).abs()
    x = torch.fft.fftfreq(latents.shape[-1], device=latents.device).abs()
    high = torch.maximum(y[:, None], x[None]) > 0.25
    return float(power[high].sum() / power.sum().clamp(min=1e-20))
