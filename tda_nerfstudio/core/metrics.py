"""Image quality, per image, of clamped images, and the list of metrics that everything else reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

LEAST_SIDE = 32
"""Pixels along the shorter side that LPIPS' network needs."""


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


def sharpness(
    images: Float[Tensor, "image channel height width"], truth: Float[Tensor, "image channel height width"]
) -> Float[Tensor, " image"]:
    """Gradient energy of each image clamped to [0, 1], over that of its truth: 1 is as sharp, blur is below.

    Noise and wrong edges count as sharp: read it beside PSNR, never alone.
    """

    def energy(x: Tensor) -> Float[Tensor, " image"]:
        return x.diff(dim=-1).square().flatten(1).mean(1) + x.diff(dim=-2).square().flatten(1).mean(1)

    least = 1e-8  # two blank images are equally sharp
    return (energy(images.clamp(0, 1)) + least) / (energy(truth) + least)


def lpips(
    images: Float[Tensor, "image 3 height width"], truth: Float[Tensor, "image 3 height width"]
) -> Float[Tensor, " image"] | None:
    """Perceptual distance (LPIPS, AlexNet) of each image clamped to [0, 1]; 0 is equal.

    None where the network's weights are not on this machine, as nothing is downloaded, or images are too small.
    """
    network = _lpips_network() if min(images.shape[-2:]) >= LEAST_SIDE else None
    if network is None:
        return None
    network = network.to(images.device)
    with torch.no_grad():
        return network(images.clamp(0, 1), truth, normalize=True).reshape(-1)


@lru_cache(maxsize=1)
def _lpips_network() -> Any:
    from torchvision.models import AlexNet_Weights

    name = Path(AlexNet_Weights.IMAGENET1K_V1.value.url).name
    if not (Path(torch.hub.get_dir()) / "checkpoints" / name).is_file():
        return None
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    return LearnedPerceptualImagePatchSimilarity(net_type="alex").net


@dataclass(frozen=True)
class Metric:
    """A way to score an image against its truth; adding one to METRICS is all that a new one takes."""

    key: str
    """Its name in results, rows, records and presets."""
    title: str
    """Its name in tables."""
    unit: str
    decimals: int
    compute: Callable[[Tensor, Tensor], Tensor | None]
    """Score each image, given images and truth; None where that cannot be done on this machine."""
    about: str = ""
    """A sentence for the legend of a table."""
    ceiling: bool = True
    """Whether the autoencoder's own reconstruction is scored too, as `ceiling_KEY`."""
    headline: bool = False
    """Whether short tables show it."""
    stored: tuple[str, ...] = ()
    """Those of its scores, by their names in results, that the record of a stored scene keeps."""

    @property
    def heading(self) -> str:
        """Its name with its unit, as the head of a column."""
        return f"{self.title} {self.unit}".strip()


SHARPNESS = "Sharpness: gradient energy over the truth's, 1 is as sharp."
METRICS = {
    metric.key: metric
    for metric in (
        Metric("psnr", "PSNR", "dB", 2, psnr, headline=True, stored=("psnr", "ceiling_psnr")),
        Metric("ssim", "SSIM", "", 3, ssim, headline=True, stored=("ssim",)),
        Metric("sharpness", "sharpness", "", 2, sharpness, SHARPNESS, stored=("sharpness",)),
        Metric("lpips", "LPIPS", "", 3, lpips, ceiling=False),
    )
}
"""All metrics, by key."""


def score(
    images: Float[Tensor, "image 3 height width"],
    ceiling: Float[Tensor, "image 3 height width"],
    truth: Float[Tensor, "image 3 height width"],
) -> dict[str, Float[Tensor, " image"]]:
    """Score images, and the autoencoder's own reconstruction of the truth, by all metrics that this machine has."""
    both = [metric for metric in METRICS.values() if metric.ceiling]
    scores = {metric.key: metric.compute(images, truth) for metric in both}
    scores |= {f"ceiling_{metric.key}": metric.compute(ceiling, truth) for metric in both}
    scores |= {metric.key: metric.compute(images, truth) for metric in METRICS.values() if not metric.ceiling}
    return {key: values for key, values in scores.items() if values is not None}


def score_names() -> list[str]:
    """Name all scores that `score` may give."""
    return [*METRICS, *(f"ceiling_{metric.key}" for metric in METRICS.values() if metric.ceiling)]


def stored_scores() -> list[str]:
    """Name the scores that the record of a stored scene keeps."""
    kept = {name for metric in METRICS.values() for name in metric.stored}
    return [name for name in score_names() if name in kept]


def high_frequency_share(latents: Float[Tensor, "image channel h w"]) -> float:
    """Share of the latents' spatial variance above half the Nyquist frequency: how rough a latent space is."""
    centred = latents - latents.mean((-2, -1), keepdim=True)
    power = torch.fft.fft2(centred).abs().square().mean((0, 1))
    y = torch.fft.fftfreq(latents.shape[-2], device=latents.device).abs()
    x = torch.fft.fftfreq(latents.shape[-1], device=latents.device).abs()
    high = torch.maximum(y[:, None], x[None]) > 0.25
    return float(power[high].sum() / power.sum().clamp(min=1e-20))
