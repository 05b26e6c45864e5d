"""Scores of every scene: decoded images compared with held-out views. Nothing here is random."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.base.errors import counted
from tda_nerfstudio.base.progress import track
from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.core.metrics import high_frequency_share, score
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.scenes import LatentScenes
from tda_nerfstudio.core.showing import decode, march, one_scene, reconstruct
from tda_nerfstudio.learning.views import SceneViews


@torch.no_grad()
def evaluate(
    scenes: LatentScenes,
    codec: Autoencoder,
    views: SceneViews,
    sampling: SamplingConfig,
    output_path: Path | None = None,
) -> dict[str, Any]:
    """Score all held-out views of all scenes, which are the first rows of the table.

    Returns the mean over images of every metric of `core.metrics.score`: those of the decoded images, and those of the
    autoencoder's own reconstruction (`ceiling_*`). Beside them are statistics of the latents, seconds a view to march
    and to decode, the scores by scene and view (`scenes`), and the reason for each scene that is left out (`left_out`):
    its images cannot be read, or its numbers are not finite. Without a scored view, only the last two are returned.
    With `output_path`, images of truth and decoding side by side are written there. Raises TdaError for an image that
    cannot be read, unless the views tolerate it.
    """
    device, scored, latents, march_seconds, decode_seconds = scenes.box.device, {}, [], 0.0, 0.0
    diverged = dict.fromkeys(scenes.diverged(views.names), "It diverged: its numbers are not finite.")
    left_out = views.atlas.broken | diverged | views.unreadable
    result, started = {"left_out": left_out, "scenes": scored}, time.perf_counter()
    for s, view, truth in track(views.held_out_views(), "Scoring held-out views", len(views.names)):
        name, first = views.names[s], views.held_out.offsets[s]
        if not len(truth) or name in left_out:
            continue
        if not truth.isfinite().all():
            left_out[name] = views.unreadable[name]
            continue
        height, width = truth.shape[-2:]
        times = [_now(device)]
        rendering = march(*one_scene(scenes, s, codec), view, height, width, sampling)
        times.append(_now(device))
        decoded = decode(codec, rendering, height, width)
        times.append(_now(device))
        march_seconds, decode_seconds = march_seconds + times[1] - times[0], decode_seconds + times[2] - times[1]
        encoded, ceiling = reconstruct(codec, truth)
        latents.append(encoded.cpu())
        columns = {key: value.tolist() for key, value in score(decoded, ceiling, truth).items()}
        labels = views.held_out.labels[first : first + len(truth)]
        rows = {label: {key: column[i] for key, column in columns.items()} for i, label in enumerate(labels)}
        scored[name] = {key: sum(column) / len(column) for key, column in columns.items()} | {"views": rows}
        if output_path is not None:
            _write_pairs(output_path / name, truth, decoded, labels)
    flat = [row for scene in scored.values() for row in scene["views"].values()]
    if not flat:
        return result
    means, spread = {key: sum(row[key] for row in flat) / len(flat) for key in flat[0]}, torch.cat(latents)
    deviation = spread.std((0, 2, 3), correction=min(spread[:, 0].numel() - 1, 1))
    means |= {
        "latent_std": [round(float(v), 4) for v in deviation],
        "latent_high_frequencies": high_frequency_share(spread),
        "march_seconds_per_view": march_seconds / len(spread),
        "decode_seconds_per_view": decode_seconds / len(spread),
        "seconds": time.perf_counter() - started,
    }
    return means | result


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def merge(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Merge the metrics of several waves as if they had been scored together. Seconds are added up.

    Means are weighted by held-out views. They are over the waves that have the metric: LPIPS is missing where its
    weights were not on the machine.
    """
    if len(results) == 1:
        return results[0]
    merged: dict[str, Any] = {"left_out": {}, "scenes": {}}
    for result in results:
        merged["left_out"] |= result["left_out"]
        merged["scenes"] |= result["scenes"]
    for key in dict.fromkeys(key for result in results for key in result if key not in merged):
        scored = [result for result in results if key in result]
        columns = [result[key] for result in scored]
        if key == "seconds":
            merged[key] = sum(columns)
            continue
        views = [sum(len(scene["views"]) for scene in result["scenes"].values()) for result in scored]
        rows = columns if isinstance(columns[0], list) else [[value] for value in columns]
        means = [sum(v * n for v, n in zip(row, views, strict=True)) / sum(views) for row in zip(*rows, strict=True)]
        merged[key] = [round(mean, 4) for mean in means] if isinstance(columns[0], list) else means[0]
    return merged


def quality(metrics: dict[str, Any]) -> str:
    """Sum up metrics of `evaluate` in a phrase."""
    if "psnr" not in metrics:
        lost = len(metrics.get("left_out") or {})
        return (
            f"no PSNR: {counted(lost, 'scene')} {'is' if lost == 1 else 'are'} left out"
            if lost
            else "no held-out views, so no PSNR"
        )
    ceiling = metrics["ceiling_psnr"]
    alone = f"; the autoencoder alone {ceiling:.2f} dB" if ceiling < 99 else ""  # none at all reconstructs exactly
    return f"PSNR {metrics['psnr']:.2f} dB, SSIM {metrics['ssim']:.3f} on held-out views{alone}"


def _write_pairs(folder: Path, truth: Tensor, decoded: Tensor, names: list[str]) -> None:
    from torchvision.utils import save_image

    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        save_image(torch.cat([truth[i], decoded[i]], 2), folder / f"{name}.png")


def announced(metrics: dict[str, Any]) -> dict[str, Any]:
    """Print a summary of metrics of `evaluate`, and return them."""
    scored = {name: scene["psnr"] for name, scene in metrics["scenes"].items()}
    views = sum(len(scene["views"]) for scene in metrics["scenes"].values())
    words = [quality(metrics) + "."]
    if scored:
        worst = min(scored, key=lambda name: scored[name])
        counts = f"{counted(len(scored), 'scene')}, {counted(views, 'view')}"
        words.append(f"{counts}; the worst scene is {worst}, with {scored[worst]:.2f} dB.")
    left_out = metrics["left_out"]
    for reason in dict.fromkeys(left_out.values()):
        names = [name for name in left_out if left_out[name] == reason]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        why = reason if len(names) == 1 else re.sub(r"^It\b", "Each", reason)
        words.append(f"Left out: {', '.join(names[:3])}{more}. {why}")
    CONSOLE.print("\n".join(words), markup=False, soft_wrap=True)
    return metrics


def scalars(metrics: dict[str, Any]) -> dict[str, float]:
    """Keep those metrics of `evaluate` that are single numbers."""
    return {key: float(value) for key, value in metrics.items() if isinstance(value, int | float)}
