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
from tda_nerfstudio.making.procedural.broad import BroadImages
from tda_nerfstudio.making.procedural.sprites import SIZE, SpritePool
from tda_nerfstudio.studies.outputs import image_picture
from tda_nerfstudio.studies.pretrain import NOISE, Pretraining, Recipe
from tda_nerfstudio.studies.unseen import Images, reconstruct, unseen_sets

SAMPLE, FIRST = 256, 1_000_000_000
"""Images that latents are measured on, and the first of them: far beyond those that were trained on."""
LOSS = "root mean squared error of an image"
CARD = """# Pre-trained light autoencoder, f = {f}, C = {channels}

`{file}`: {parameters:,} parameters in float16 ({megabytes:.2f} MB); the start of every light autoencoder with
f = {f}, C = {channels} in {sub} x {sub} parts, width {width} and {blocks} blocks. `tda ae export` wrote this page.

## Training
{steps:,} steps of {batch} images of {size} x {size}, seed {seed}, {hours:.2f} hours on {device}; loss: {loss};
noise of {noise:.0%} of the latents' standard deviation before decoding.
Data, all made by this package: {sprites:,} renderings of procedural objects and of the demo class (other seeds than
`tda atlas demo` gives), composed on white and other backgrounds; procedural pictures (gradients, noise, stripes,
checks, shapes, text, collages); plain colours.{given}

## Quality
PSNR in dB of reconstructions, mean over images (each clamped to [0, 1]), at {size} x {size} unless a set is larger:

| test set, never trained on | images | mean | worst |
|---|---|---|---|
{rows}

## Value ranges
Images are sRGB in [0, 1]. Raw latents, on {sample} broad images: standard deviations by channel {deviations}
(each the mean over {parts}); from {low:.2f} to {high:.2f}.
nu(z) = tanh(a z) with a = {scale:.4f}; white space is nu(z) = {background}.
Stage 1 measures both again on its own images.

## Limits
Trained on synthetic images: no photographs, no faces. Height and width must divide by {f}. Fine detail is lost first:
text, thin stripes, grids. The worst image of each test set, truth on the left:

{pictures}
"""


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
    pool, recipe, model = pool or run_folder / "sprites", run.recipe, run.model
    broad = BroadImages(SpritePool(pool, recipe.sprites, recipe.seed), recipe.seed)
    images = torch.stack([broad[FIRST + i] for i in range(SAMPLE)])
    latents = _encode(run, images)
    model.calibrate(latents)
    model.measure_background(SIZE, SIZE)
    file = embedded.save(model, run.config, out)
    rows, shown, means = [], [], {}
    for name, truth in unseen_sets(pool, tests).items():
        reconstructed, quality = reconstruct(model, truth)
        worst, means[name] = int(quality.argmin()), float(quality.mean())
        rows.append(f"| {name} | {len(truth)} | {means[name]:.2f} | {quality[worst]:.2f} |")
        picture = f"worst-{name.replace(' ', '-')}.png"
        _save_pair(out / picture, truth[worst].float() / 255, reconstructed[worst])
        shown.append(f"![{name}, {quality[worst]:.1f} dB]({picture})")
    config = run.config
    card = CARD.format(
        file=file.name, parameters=sum(p.numel() for p in model.parameters()), megabytes=file.stat().st_size / 1e6,
        f=config.f, channels=config.channels, sub=model.sub, width=config.width, blocks=config.blocks,
        steps=run.step, batch=recipe.batch, size=SIZE, seed=recipe.seed, hours=run.seconds / 3600,
        device="one GPU" if run.device.type == "cuda" else "a CPU", loss=LOSS, noise=NOISE, sprites=recipe.sprites,
        given=f" Training views of {len(recipe.data)} given atlases." if recipe.data else "",
        rows="\n".join(rows), pictures="\n".join(shown), sample=SAMPLE,
        deviations=_by_point(latents.std((0, 2, 3)), model.sub), low=float(latents.min()), high=float(latents.max()),
        scale=float(model.latent_scale), background=_by_point(model.background, model.sub),
        parts=f"the {model.sub} x {model.sub} parts of a latent pixel" if model.sub > 1 else "one part",
    )  # fmt: skip
    write_text(out / "README.md", card)
    return means


def _encode(run: Pretraining, images: Images) -> Float[Tensor, "image C h w"]:
    return torch.cat([run.model.encode(part.to(run.device).float() / 255).cpu() for part in images.split(32)])


def _by_point(values: Float[Tensor, " C"], sub: int) -> str:
    return ", ".join(f"{value:.2f}" for value in values.view(-1, sub**2).mean(1).tolist())


def _save_pair(path: Path, truth: Float[Tensor, "3 h w"], shown: Float[Tensor, "3 h w"]) -> None:
    pair = np.concatenate([image_picture(image) for image in (truth, shown)], 1)
    replace_file(path, lambda file: Image.fromarray(pair).save(file, "PNG"))
