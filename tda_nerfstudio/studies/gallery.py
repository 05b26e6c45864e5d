"""The contact sheet: what a scene is, what was rendered, what came out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.cameras import grid_size
from tda_nerfstudio.core.metrics import psnr
from tda_nerfstudio.learning.scoring import reconstruct
from tda_nerfstudio.plugin.open_run import open_run
from tda_nerfstudio.studies.outputs import PICTURES, require_output
from tda_nerfstudio.studies.pictures import as_picture, latent_colours

COLUMNS = ("truth", "rendered latent", "decoded", "autoencoder alone")
HEADER = 18


@torch.no_grad()
def draw_sheet(load_config: Path, output: Path, scenes: int = 8, views: int = 2, cell: int = 128) -> Path:
    """Draw one row a scene, `views` held-out views of it in the columns that COLUMNS names; return the file.

    The number beside a scene's name is the PSNR of the decoded views shown, in dB.
    """
    from PIL import Image, ImageDraw

    require_output(output, PICTURES)
    for what, value in (("scenes", scenes), ("views", views), ("cell", cell)):
        if value < 1:
            raise TdaError(f"--{what} is {value}. Give a whole number of 1 or more.")
    pipeline = open_run(load_config)
    model, manager = pipeline.model, pipeline.datamanager
    count = len(manager.scene_names)
    chosen = set(np.linspace(0, count - 1, min(scenes, count)).round().astype(int).tolist())
    sheet = Image.new("RGB", (views * len(COLUMNS) * cell, HEADER + len(chosen) * (cell + HEADER)), "white")
    draw = ImageDraw.Draw(sheet)
    for column in range(views * len(COLUMNS)):
        draw.text((column * cell + 4, 3), COLUMNS[column % len(COLUMNS)], fill="black")
    top = HEADER
    for s, cameras, truth in manager.views.held_out_views():
        if s not in chosen:
            continue
        pick = torch.linspace(0, len(truth) - 1, views).round().long()
        view = cameras[pick]
        truth = truth[pick]
        height, width = truth.shape[-2:]
        out, decoded = model.render(s, view, height, width)
        h, w = grid_size(height, width, model.autoencoder.f)
        latent = latent_colours(out.latent.view(len(pick), h, w, -1).permute(0, 3, 1, 2), model.autoencoder.sub)
        columns = (truth, latent, decoded, reconstruct(model.autoencoder, truth)[1])
        for v in range(len(pick)):
            for c, images in enumerate(columns):
                picture = Image.fromarray(as_picture("rgb", images[v].permute(1, 2, 0)))
                filter_ = Image.Resampling.NEAREST if c == 1 else Image.Resampling.BICUBIC
                sheet.paste(picture.resize((cell, cell), filter_), ((v * len(COLUMNS) + c) * cell, top))
        label = f"{manager.scene_names[s]}   {float(psnr(decoded, truth).mean()):.1f} dB"
        draw.text((4, top + cell + 2), label, fill="black")
        top += cell + HEADER
    output.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(output)
    return output
