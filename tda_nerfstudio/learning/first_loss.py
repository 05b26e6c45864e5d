"""The first loss of new scenes: L_latent at the mean of stage 1. It is high for a class that stage 1 did not see."""

from __future__ import annotations

import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.core.phase import Phase
from tda_nerfstudio.learning.beginning import Beginning, mean_beginning
from tda_nerfstudio.learning.learner import Learner

STEPS = 4
"""Steps of the wave whose views are compared."""
PROBE = Phase("probe", 1, {"latent": 1.0}, {})


@torch.no_grad()
def first_loss(learner: Learner, mean: Beginning) -> float:
    """Measure the mean L_latent over the wave's first steps, as if scenes were at this mean. They stay as they are.

    The starter is left out: it knows stage 1's own scenes better than others of their class.
    """
    wave, batches, scenes = learner.wave, learner.batches, learner.scenes
    cached = any("latent" in phase.losses for phase in wave.phases) and not any(phase.encodes for phase in wave.phases)
    steps = range(wave.start, wave.start + STEPS)
    rows = torch.cat([batches.draw(step)[0] for step in steps]).unique().to(learner.device)
    tables = (scenes.micro, scenes.weights, scenes.occupied)
    kept = [table[rows].clone() for table in tables]
    try:
        scenes.micro[rows], scenes.weights[rows] = 0.0, mean.weights.to(learner.device)
        scenes.occupied[rows] = mean.occupied.to(learner.device)
        losses = [learner.training.losses(PROBE, batches.batch(step, PROBE, cached), step)["latent"] for step in steps]
    finally:
        for table, values in zip(tables, kept, strict=True):
            table[rows] = values
    return sum(map(float, losses)) / STEPS


def own_first_loss(learner: Learner) -> float | None:
    """Measure `first_loss` of stage 1's own scenes.

    Returns None, and prints why, if an image cannot be read or all scenes diverged.
    """
    own = learner.scenes
    try:
        return first_loss(learner, mean_beginning(own.weights.detach(), own.occupied, "This run"))
    except TdaError as error:  # no reason to fail: all scenes are learnt
        CONSOLE.print(f"Where new scenes start is not known: {error}", style="yellow", markup=False)
        return None
