"""The contact sheet: what a scene is, what was rendered, what came out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tda_nerfstudio.base.checks import require_counts, require_output
from tda_nerfstudio.core.metrics import psnr
from tda_nerfstudio.looking.colouring import picture
from tda_nerfstudio.plugin.open_run import open_run
from tda_nerfstudio.studies.held_out import held_out
from tda_nerfstudio.studies.outputs import PICTURES

COLUMNS = {
    "truth": "truth",
    "rendered": "rendered latent",
    "decoded": "decoded",
    "reconstructed": "autoencoder alone",
}
HEADER = 18


def draw_sheet(load_config: Path, output: Path, scenes: int = 8, views: int = 2, cell: int = 128) -> Path:
    """Draw one row a scene, `views` held-out views of it in the columns that COLUMNS names; return the file.

    The number beside a scene's name is the PSNR of the decoded views shown, in dB.
    """
    from PIL import Image, ImageDraw

    require_output(output, PICTURES)
    require_counts(scenes=scenes, views=views, cell=cell)
    pipeline = open_run(load_config)
    names = pipeline.datamanager.scene_names
    chosen = {names[i] for i in np.linspace(0, len(names) - 1, min(scenes, len(names))).round().astype(int)}
    sheet = Image.new("RGB", (views * len(COLUMNS) * cell, HEADER + len(chosen) * (cell + HEADER)), "white")
    draw, heads = ImageDraw.Draw(sheet), list(COLUMNS.values())
    for column in range(views * len(COLUMNS)):
        draw.text((column * cell + 4, 3), heads[column % len(COLUMNS)], fill="black")
    shown = held_out(pipeline, chosen, lambda count: np.linspace(0, count - 1, views).round().astype(int).tolist())
    for row, (name, images) in enumerate(shown):
        top = HEADER + row * (cell + HEADER)
        for v in range(views):
            for c, kind in enumerate(COLUMNS):
                own = Image.fromarray(picture(images[kind][v]))
                smoothing = Image.Resampling.NEAREST if kind == "rendered" else Image.Resampling.BICUBIC
                sheet.paste(own.resize((cell, cell), smoothing), ((v * len(COLUMNS) + c) * cell, top))
        label = f"{name}   {float(psnr(images['decoded'], images['truth']).mean()):.1f} dB"
        draw.text((4, top + cell + 2), label, fill="black")
    output.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(output)
    return output
