"""The four losses of the method (Sec. 3 of 2403.11678), each a plain mean so that weights hold for every size."""

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
    """L_latent: mean squared error of normalised latents, as a share of each channel's variance.

    With an encoder that trains, pass a variance that carries its gradient: then shrinking the latents gains nothing.
    """
    return ((rendered - encoded).square() / variance).mean()


def tv_loss(planes: Float[Tensor, "scene 3 R R F"]) -> Float[Tensor, ""]:
    """L_tv: mean squared difference of neighbouring plane cells."""
    down = (planes[:, :, 1:] - planes[:, :, :-1]).square().mean()
    right = (planes[:, :, :, 1:] - planes[:, :, :, :-1]).square().mean()
    return down + right
