"""Views of a scene beside what the scene and the autoencoder make of them: truth, latents and decoded images."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.core.cameras import View, grid_size
from tda_nerfstudio.core.palette import plain_colours
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.scenes import LatentScenes
from tda_nerfstudio.core.showing import decode, march, one_scene, reconstruct


class Comparison(NamedTuple):
    """Some views of a scene, compared."""

    images: dict[str, Float[Tensor, "view 3 rows columns"]]
    """Images in [0, 1]: the `truth`, the latents it is `encoded` to, the latents that the scene is `rendered` to, these
    `decoded`, and the truth `reconstructed` by the autoencoder alone. Those of latents have a pixel for each part."""
    encoded: Float[Tensor, "view channel h w"]
    """The normalised latents of the truth."""
    rendered: Float[Tensor, "view channel h w"]
    """Those that the scene is rendered to."""


@torch.no_grad()
def compare(
    scenes: LatentScenes,
    codec: Autoencoder,
    sampling: SamplingConfig,
    row: int,
    view: View,
    truth: Float[Tensor, "view 3 height width"],
) -> Comparison:
    """Compare views of a scene, given by its row in the table, with their true images. Nothing here is random."""
    height, width = truth.shape[-2:]
    h, w = grid_size(height, width, codec.f)
    out = march(*one_scene(scenes, row, codec), view, height, width, sampling)
    decoded = decode(codec, out, height, width)
    encoded, reconstructed = reconstruct(codec, truth)
    rendered = out.latent.view(len(truth), h, w, -1).permute(0, 3, 1, 2)
    latents = {"encoded": plain_colours(encoded, codec.sub), "rendered": plain_colours(rendered, codec.sub)}
    images = {"truth": truth, **latents, "decoded": decoded, "reconstructed": reconstructed}
    return Comparison(images, encoded, rendered)
