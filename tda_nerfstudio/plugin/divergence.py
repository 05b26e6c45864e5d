"""Scenes that went wrong: found by their neighbours, learnt once more, and put aside when that fails too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import torch
from nerfstudio.engine.optimizers import Optimizers

from tda_nerfstudio.base.errors import TdaError, counted
from tda_nerfstudio.base.progress import track
from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline
from tda_nerfstudio.plugin.terminal import warn
from tda_nerfstudio.plugin.waves import Wave, plan

FAR, SPREADS = 6.0, 5.0
"""A scene is far below its neighbours when it lacks this many dB more than they do, and this many spreads of them."""
NEIGHBOURS = 4
"""Scenes that it takes to say what is usual."""


def diverged(metrics: dict[str, Any], names: Sequence[str]) -> dict[str, str]:
    """Say which scenes of a wave went wrong, and why, from what `evaluate` measured.

    What a scene lacks is counted from what the autoencoder alone makes of the same views: a scene that is hard to
    encode is no diverged one. The spread of its neighbours is 1.48 times their median distance from their median.
    """
    left_out = {name: reason for name, reason in metrics["left_out"].items() if name in names}
    lacks = {name: scene["ceiling_psnr"] - scene["psnr"] for name, scene in metrics["scenes"].items()}
    if len(lacks) < NEIGHBOURS:
        return left_out
    usual = median(lacks.values())
    limit = max(FAR, SPREADS * 1.48 * median(abs(lack - usual) for lack in lacks.values()))
    return left_out | {
        name: f"It is {lack:.1f} dB below what its autoencoder can show; its neighbours are {usual:.1f} dB below."
        for name, lack in lacks.items()
        if lack - usual > limit
    }


def check_learnt(metrics: dict[str, Any], names: Sequence[str]) -> None:
    """Say which scenes of a whole run went wrong. Raises TdaError when all did: nothing was learnt then."""
    wrong = {name: reason for name, reason in metrics["left_out"].items() if name in names}
    if not wrong:
        return
    first, reason = next(iter(wrong.items()))
    if len(wrong) == len(names):
        raise TdaError(
            f"All {len(names)} scenes went wrong, so that nothing was learnt and the run is not marked as finished."
            f" '{first}': {reason} Look at the images and poses of the atlas, and train again with another"
            " --machine.seed or lower learning rates."
        )
    shown = ", ".join(list(wrong)[:8]) + ", ..." * (len(wrong) > 8)
    warn(f"{len(wrong)} of {len(names)} scenes went wrong and count in no score: {shown}. '{first}': {reason}")


def learn_again(
    pipeline: TdaPipeline, optimizers: Optimizers, names: Sequence[str], stopped: Callable[[], bool]
) -> bool:
    """Learn some scenes of the wave at work once more from their start, with another seed, beside nothing else.

    All other scenes stay as they are. Says whether it came to its end: when stopped, everything is as it was before.
    """
    wave, manager, table = pipeline.wave_at_work(), pipeline.datamanager, pipeline.model.field.scenes
    schedule, share, steps = pipeline.config.schedule, manager.rays_share, wave.end - wave.start
    rows = [manager.scene_names.index(name) for name in names]
    own = {"micro": table.micro.data, "weights": table.weights.data, "occupied": table.occupied}
    before = {name: tensor.clone() for name, tensor in own.items()}
    waves = pipeline.waves
    (usual,) = plan(schedule, manager.config, len(wave.scenes), None, share)
    (whole,) = plan(schedule, manager.config, len(rows), None, share)
    if steps != usual.end:  # the run was rescaled to a total
        (whole,) = plan(schedule, manager.config, len(rows), None, share, max(round(steps * whole.end / usual.end), 1))
    spans = [span._replace(start=span.start + wave.start, end=span.end + wave.start) for span in whole.spans]
    attempt = Wave([wave.scenes[row] for row in rows], spans, attempt=1)
    finished = False
    try:
        pipeline.waves = [attempt]
        pipeline.serve(attempt)
        title = f"Learning {counted(len(rows), 'scene')} that went wrong once more"
        for step in track(range(attempt.start, attempt.end), title):
            if stopped():
                break
            pipeline.train()
            pipeline.prepare(step, optimizers)
            optimizers.zero_grad_all()
            torch.stack([*pipeline.get_train_loss_dict(step)[1].values()]).sum().backward()
            optimizers.optimizer_step_all()
        else:
            finished = True
    finally:
        after = {name: tensor[: len(rows)].clone() for name, tensor in own.items()}
        for name, tensor in own.items():
            tensor.copy_(before[name])
            if finished:
                tensor[rows] = after[name]
        pipeline.waves = waves
        pipeline.serve(wave)
    return finished
