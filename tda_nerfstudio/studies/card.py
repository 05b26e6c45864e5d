"""Ship a pre-trained autoencoder: weights, and a model card whose every number is measured here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from tda_nerfstudio.autoencoder import embedded
from tda_nerfstudio.base.atomic import replace_file, require_writable, write_text
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.templates import fill_in
from tda_nerfstudio.looking.colouring import picture
from tda_nerfstudio.making.procedural.broad import BroadImages
from tda_nerfstudio.making.procedural.sprites import SIZE, SpritePool
from tda_nerfstudio.studies.pretrain import NOISE, Pretraining, Recipe
from tda_nerfstudio.studies.unseen import Images, reconstruct_in_batches, unseen_sets

SAMPLE, FIRST = 256, 1_000_000_000
"""Images that latents are measured on, and the first of them: far beyond those that were trained on."""


@torch.no_grad()
def export(run_folder: Path, out: Path, pool: Path | None = None, tests: Sequence[Path] = ()) -> dict[str, float]:
    """Write weights, card and worst images of a pre-training run into a folder; give the mean PSNR by test set.

    Everything is measured with the weights as they ship, rounded. Raises TdaError when there is no run.
    """
    path = run_folder / "recipe.json"
    if not path.exists() or not (run_folder / "checkpoints").exists():
        raise TdaError(f"{run_folder} holds no pre-training run. Give the folder that `tda ae pretrain` wrote.")
    require_writable(out)
    content = json.loads(path.read_text())
    run = Pretraining(run_folder, Recipe(**content | {"data": tuple(content["data"])}))
    pool, model = pool or run_folder / "sprites", run.model
    broad = BroadImages(SpritePool(pool, run.recipe.sprites, run.recipe.seed), run.recipe.seed)
    images = torch.stack([broad[FIRST + i] for i in range(SAMPLE)])
    latents = _encode(run, images)
    model.calibrate(latents)
    model.measure_background(SIZE, SIZE)
    file = embedded.save(model, run.config, out)
    sets = []
    for name, truth in unseen_sets(pool, tests).items():
        reconstructed, quality = reconstruct_in_batches(model, truth)
        worst, picture = int(quality.argmin()), f"worst-{name.replace(' ', '-')}.png"
        _save_pair(out / picture, truth[worst].float() / 255, reconstructed[worst])
        scores = {"mean": float(quality.mean()), "worst": float(quality[worst])}
        sets.append({"name": name, "images": len(truth), "picture": picture} | scores)
    card = fill_in(
        "tda_nerfstudio.studies",
        "card.md.j2",
        run=run,
        parameters=sum(p.numel() for p in model.parameters()),
        file=file,
        size=SIZE,
        noise=NOISE,
        sets=sets,
        latents=latents,
        deviations=_by_point(latents.std((0, 2, 3)), model.sub),
        background=_by_point(model.background, model.sub),
    )
    write_text(out / "README.md", card)
    return {one["name"]: one["mean"] for one in sets}


def _encode(run: Pretraining, images: Images) -> Float[Tensor, "image C h w"]:
    return torch.cat([run.model.encode(part.to(run.device).float() / 255).cpu() for part in images.split(32)])


def _by_point(values: Float[Tensor, " C"], sub: int) -> str:
    return ", ".join(f"{value:.2f}" for value in values.view(-1, sub**2).mean(1).tolist())


def _save_pair(path: Path, truth: Float[Tensor, "3 h w"], shown: Float[Tensor, "3 h w"]) -> None:
    pair = np.concatenate([picture(image) for image in (truth, shown)], 1)
    replace_file(path, lambda file: Image.fromarray(pair).save(file, "PNG"))
