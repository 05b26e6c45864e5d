"""Held-out views of a run's scenes, beside what scenes and autoencoder make of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.core.cameras import View, grid_size
from tda_nerfstudio.plugin.evaluation import reconstruct
from tda_nerfstudio.plugin.tda_model import as_view
from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline
from tda_nerfstudio.studies.outputs import latent_colours


@dataclass(frozen=True)
class HeldOut:
    """Some held-out views of a scene as images in [0, 1]; those of latents have a pixel for each part of a latent."""

    scene: str
    truth: Float[Tensor, "view 3 height width"]
    encoded: Float[Tensor, "view 3 rows columns"]
    """Latents of the truth, by the autoencoder alone."""
    rendered: Float[Tensor, "view 3 rows columns"]
    """Latents that the scene was rendered to."""
    decoded: Float[Tensor, "view 3 height width"]
    reconstructed: Float[Tensor, "view 3 height width"]
    """The truth, encoded and decoded by the autoencoder alone."""


@torch.no_grad()
def held_out(
    pipeline: TdaPipeline, scenes: Collection[str], choose: Callable[[int], Sequence[int]]
) -> Iterator[HeldOut]:
    """Go through scenes that have held-out views; `choose` picks some of a scene's, given their number."""
    model, manager, sub = pipeline.model, pipeline.datamanager, pipeline.model.autoencoder.sub
    for s, cameras, images in manager.eval_views():
        if manager.scene_names[s] not in scenes or not len(images):
            continue
        chosen = list(choose(len(images)))
        view, truth = View(*(part[chosen] for part in as_view(cameras, model.device))), images[chosen]
        height, width = truth.shape[-2:]
        h, w = grid_size(height, width, model.autoencoder.f)
        out, decoded = model.render(s, view, height, width)
        encoded, reconstructed = reconstruct(model, truth)
        rendered = out.latent.view(len(chosen), h, w, -1).permute(0, 3, 1, 2)
        yield HeldOut(
            manager.scene_names[s],
            truth,
            latent_colours(encoded, sub),
            latent_colours(rendered, sub),
            decoded,
            reconstructed,
        )
