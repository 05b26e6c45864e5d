"""Held-out views of a run's scenes, beside what scenes and autoencoder make of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import torch
from torch import Tensor

from tda_nerfstudio.learning.comparison import compare
from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline


@torch.no_grad()
def held_out(
    pipeline: TdaPipeline, scenes: Collection[str], choose: Callable[[int], Sequence[int]]
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Show scenes that have held-out views, by name; `choose` picks some of a scene's views, given their number.

    Each is a batch of images, as `learning.comparison.Comparison` names them.
    """
    model, manager = pipeline.model, pipeline.datamanager
    for s, view, images in manager.views.held_out_views():
        if manager.scene_names[s] not in scenes or not len(images):
            continue
        chosen = list(choose(len(images)))
        given = (model.field.scenes, model.autoencoder, model.config.sampling, s)
        yield manager.scene_names[s], compare(*given, view[chosen], images[chosen]).images
