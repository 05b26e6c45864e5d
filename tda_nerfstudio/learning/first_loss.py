"""The first loss of new scenes: L_latent where they begin. It is high for a class that stage 1 did not see."""

from __future__ import annotations

import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.core.phase import Phase
from tda_nerfstudio.learning.beginning import mean_beginning
from tda_nerfstudio.learning.learner import Learner
from tda_nerfstudio.learning.retry import table_beside

STEPS = 4
"""Steps of the wave whose views are compared."""
PROBE = Phase("probe", 1, {"latent": 1.0}, {})


@torch.no_grad()
def first_loss(learner: Learner) -> float:
    """Measure the mean L_latent over the wave's first steps, with the scenes as they are. Nothing is learnt."""
    wave, batches = learner.wave, learner.batches
    cached = any("latent" in phase.losses for phase in wave.phases) and not any(phase.encodes for phase in wave.phases)
    steps = range(wave.start, wave.start + STEPS)
    losses = [learner.training.losses(PROBE, batches.batch(step, PROBE, cached), step)["latent"] for step in steps]
    return sum(map(float, losses)) / STEPS


@torch.no_grad()
def own_first_loss(learner: Learner) -> float | None:
    """Measure `first_loss` of stage 1's own scenes, as if they were new ones. Its scenes stay as they are.

    Returns None, and prints why, if an image cannot be read or all scenes diverged.
    """
    own = learner.scenes
    try:
        table = table_beside(own, len(own))
        table.warm_start(*mean_beginning(own.weights, own.occupied, "This run"))
        return first_loss(learner.beside(table, learner.batches, learner.wave))
    except TdaError as error:  # no reason to fail: all scenes are learnt
        CONSOLE.print(f"Where new scenes start is not known: {error}", style="yellow", markup=False)
        return None
