"""Held-out views of a run's scenes, beside what scenes and autoencoder make of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import torch
from torch import Tensor

from tda_nerfstudio.core.cameras import grid_size
from tda_nerfstudio.core.showing import reconstruct
from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline
from tda_nerfstudio.studies.outputs import latent_colours


@torch.no_grad()
def held_out(
    pipeline: TdaPipeline, scenes: Collection[str], choose: Callable[[int], Sequence[int]]
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Show scenes that have held-out views, by name; `choose` picks some of a scene's views, given their number.

    Each is a batch of images in [0, 1]: the truth, the latents it is `encoded` to, the latents that the scene is
    `rendered` to, these `decoded`, and the truth `reconstructed` by the autoencoder alone.
    """
    model, manager, sub = pipeline.model, pipeline.datamanager, pipeline.model.autoencoder.sub
    for s, view, images in manager.views.held_out_views():
        if manager.scene_names[s] not in scenes or not len(images):
            continue
        chosen = list(choose(len(images)))
        truth = images[chosen]
        height, width = truth.shape[-2:]
        h, w = grid_size(height, width, model.autoencoder.f)
        out, decoded = model.render(s, view[chosen], height, width)
        encoded, reconstructed = reconstruct(model.autoencoder, truth)
        rendered = out.latent.view(len(chosen), h, w, -1).permute(0, 3, 1, 2)
        latents = {"encoded": latent_colours(encoded, sub), "rendered": latent_colours(rendered, sub)}
        yield manager.scene_names[s], {"truth": truth, "decoded": decoded, "reconstructed": reconstructed} | latents
