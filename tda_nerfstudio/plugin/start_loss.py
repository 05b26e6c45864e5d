"""How far scenes are from their images where they start: far for a class that stage 1 did not see."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.phase import Phase
from tda_nerfstudio.learning.schedule import Span
from tda_nerfstudio.plugin.start import mean_start
from tda_nerfstudio.plugin.terminal import CONSOLE, warn

if TYPE_CHECKING:
    from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline

STEPS = 4
"""Steps whose views are looked at."""
ALIKE = 1.4
"""New scenes of the same class start at most this far from their images, as a share of what stage 1's own do.

Measured with stage 1 on 8 of the embedded vehicles: 1.1 for others of them and 0.9 for real vehicles that stand alike,
learnt to 23.4 dB; 1.6 for those turned by 90 degrees (17.9 dB), 2.1 lying on their side (15.6), 2.4 other objects.
"""
PROBE = Span(Phase("probe", 1, {"latent": 1.0}, {}), 0, STEPS)


@torch.no_grad()
def start_loss(pipeline: TdaPipeline) -> float:
    """Measure L_latent of the first steps' views, with the scenes as they are; nothing changes."""
    wave, losses = pipeline.wave_at_work(), []
    phases = [span.phase for span in wave.spans]
    cached = any("latent" in phase.losses for phase in phases) and not any(phase.encodes for phase in phases)
    latents = pipeline.latents if cached else partial(pipeline.latents.encode, keep=False)
    for step in range(wave.start, wave.start + STEPS):
        cameras, batch = pipeline.batch_of(step, PROBE, latents)
        losses.append(float(pipeline.model(cameras, batch, PROBE.phase, step)["latent"]))
    return sum(losses) / STEPS


@torch.no_grad()
def own_start_loss(pipeline: TdaPipeline) -> float | None:
    """Measure the same of stage 1's scenes, put where new ones will start; they are put back then. None if it fails."""
    table = pipeline.model.field.scenes
    own = (table.micro.data, table.weights.data, table.occupied)
    before = [tensor.clone() for tensor in own]
    try:
        table.warm_start(*mean_start(table.weights, table.occupied, "This run"))
        return start_loss(pipeline)
    except TdaError as error:  # an image that cannot be read any more, say: all is learnt without it
        CONSOLE.print(f"Where new scenes start is not known: {error}", style="yellow", markup=False)
        return None
    finally:
        for tensor, values in zip(own, before, strict=True):
            tensor.copy_(values)


def compare_start(pipeline: TdaPipeline, manifest: dict[str, Any] | None) -> None:
    """Say loudly when new scenes start much farther from their images than stage 1's own; older runs do not tell."""
    usual = None if manifest is None else manifest.get("start_loss")
    if manifest is None or usual is None or getattr(pipeline.config.schedule, "start", "mean") == "cold":
        return
    found = start_loss(pipeline)
    if found > ALIKE * usual:
        warn(
            f"These scenes are unlike those that stage 1 at {manifest['run']} knows: L_latent starts at {found:.2f},"
            f" and for its own at {usual:.2f}. If they are of another class than {manifest['data']}, or stand or are"
            " scaled in another way, they will be learnt badly: choose another stage 1 with --pipeline.autoencoder"
            " PATH, or train tda-ae on scenes like these."
        )
