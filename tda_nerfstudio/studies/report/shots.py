"""Pictures of a run's scenes, taken from its checkpoint as data URIs that a page can hold."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from tda_nerfstudio.core.cameras import grid_size
from tda_nerfstudio.learning.scoring import reconstruct
from tda_nerfstudio.plugin.open_run import open_run
from tda_nerfstudio.studies.pictures import as_picture, latent_colours
from tda_nerfstudio.studies.report.figures import Shot


@torch.no_grad()
def take_shots(run: Path, scenes: Sequence[str]) -> dict[str, Shot]:
    """Open a run and take the middle held-out view of some of its scenes, by name.

    A run of another version, or without its data, fails in ways of its own: any error may come.
    """
    pipeline = open_run(run)
    model, manager, sub = pipeline.model, pipeline.datamanager, pipeline.model.autoencoder.sub
    shots: dict[str, Shot] = {}
    for s, cameras, images in manager.views.held_out_views():
        name = manager.scene_names[s]
        if name not in scenes or not len(images):
            continue
        middle = len(images) // 2
        truth = images[middle : middle + 1]
        view = cameras[middle : middle + 1]
        height, width = truth.shape[-2:]
        out, decoded = model.render(s, view, height, width)
        h, w = grid_size(height, width, model.autoencoder.f)
        rendered = out.latent.view(1, h, w, -1).permute(0, 3, 1, 2)
        shots[name] = Shot(
            manager.views.held_out.labels[manager.views.held_out.starts[s] + middle],
            data_uri(truth[0]),
            data_uri(latent_colours(reconstruct(model.autoencoder, truth)[0], sub)[0], exact=True),
            data_uri(latent_colours(rendered, sub)[0], exact=True),
            data_uri(decoded[0]),
        )
    return shots


def data_uri(image: Float[Tensor, "3 height width"], exact: bool = False) -> str:
    """Spell an image in [0, 1] as a JPEG inside a URI, or as a PNG: latents are small and have hard edges."""
    file = io.BytesIO()
    kind, options = ("png", {}) if exact else ("jpeg", {"quality": 90, "subsampling": 0})
    Image.fromarray(as_picture("rgb", image.permute(1, 2, 0))).save(file, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
