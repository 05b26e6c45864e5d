"""The four losses of the method (Sec. 3 of 2403.11678). Each is a mean, so that its weight suits every size."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

LOSSES = ("ae", "latent", "rgb", "tv")


def image_loss(
    output: Float[Tensor, "image channel height width"], truth: Float[Tensor, "image channel height width"]
) -> Float[Tensor, ""]:
    """Mean squared error of images in [0, 1]: L_ae of reconstructions, L_RGB of decoded renderings."""
    return (output - truth).square().mean()


def latent_loss(rendered: Tensor, encoded: Tensor, variance: Tensor) -> Float[Tensor, ""]:
    """L_latent: mean squared error of normalised latents, over the variance of each channel.

    Shapes: [view, C, h, w], or [view, C, pixel], with a variance that broadcasts to them. If the encoder trains, the
    variance must carry gradients, so that smaller latents do not lower the loss.
    """
    return ((rendered - encoded).square() / variance).mean()


def tv_loss(planes: Float[Tensor, "scene 3 R R F"]) -> Float[Tensor, ""]:
    """L_tv: mean squared difference between neighbouring cells of a plane."""
    down = (planes[:, :, 1:] - planes[:, :, :-1]).square().mean()
    right = (planes[:, :, :, 1:] - planes[:, :, :, :-1]).square().mean()
    return down + right
