"""Quality of every scene: decoded RGB on held-out views, per image, deterministic."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.core.metrics import high_frequency_share, psnr, ssim
from tda_nerfstudio.plugin.multi_scene_datamanager import MultiSceneDataManager
from tda_nerfstudio.plugin.tda_model import TdaModel, as_view


@torch.no_grad()
def reconstruct(
    model: TdaModel, images: Float[Tensor, "view 3 height width"]
) -> tuple[Float[Tensor, "view channel h w"], Float[Tensor, "view 3 height width"]]:
    """Encode and decode images: their normalised latents, and the best that a scene in this space could show."""
    z = model.autoencoder.encode(images)
    return model.autoencoder.normalise(z), model.autoencoder.decode(z).clamp(0, 1)


@torch.no_grad()
def evaluate(model: TdaModel, datamanager: MultiSceneDataManager, output_path: Path | None = None) -> dict[str, Any]:
    """Score all held-out views of all scenes.

    Returns means over images of psnr [dB] and ssim, the same of the autoencoder's own reconstruction (`ceiling_*`),
    statistics of the latents, seconds a view, and everything by scene and view. With `output_path`, truth and decoding
    are written there side by side.
    """
    from rich.progress import track

    names, scenes, latents, views = datamanager.scene_names, {}, [], 0
    started = time.perf_counter()
    seconds = 0.0
    batches = datamanager.eval_views()
    for s, cameras, truth in track(batches, description="Scoring held-out views", total=len(names), transient=True):
        height, width = truth.shape[-2:]
        before = time.perf_counter()
        _, decoded = model.render(s, as_view(cameras, model.device), height, width)
        seconds += time.perf_counter() - before
        encoded, ceiling = reconstruct(model, truth)
        latents.append(encoded.cpu())
        columns = {
            "psnr": psnr(decoded, truth),
            "ssim": ssim(decoded, truth),
            "ceiling_psnr": psnr(ceiling, truth),
            "ceiling_ssim": ssim(ceiling, truth),
        }
        start = datamanager.eval_store.starts[s]
        rows = {key: value.tolist() for key, value in columns.items()}
        scenes[names[s]] = {key: sum(value) / len(value) for key, value in rows.items()} | {
            "views": {
                datamanager.eval_store.names[start + i]: {key: value[i] for key, value in rows.items()}
                for i in range(len(truth))
            }
        }
        views += len(truth)
        if output_path is not None:
            _write_pairs(output_path / names[s], truth, decoded, list(scenes[names[s]]["views"]))
    flat = [view for scene in scenes.values() for view in scene["views"].values()]
    means = {key: sum(view[key] for view in flat) / len(flat) for key in flat[0]}
    spread = torch.cat(latents)
    return means | {
        "latent_std": [round(float(v), 4) for v in spread.std((0, 2, 3))],
        "latent_high_frequencies": high_frequency_share(spread),
        "seconds_per_view": seconds / views,
        "seconds": time.perf_counter() - started,
        "left_out": dict(datamanager.atlas.broken),
        "scenes": scenes,
    }


def _write_pairs(folder: Path, truth: Tensor, decoded: Tensor, names: list[str]) -> None:
    from torchvision.utils import save_image

    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        save_image(torch.cat([truth[i], decoded[i]], 2), folder / f"{name}.png")


def scalars(metrics: dict[str, Any]) -> dict[str, float]:
    """Keep the plain numbers, as nerfstudio's writers want them."""
    return {key: float(value) for key, value in metrics.items() if isinstance(value, int | float)}
