"""Warn of new scenes that are unlike those of stage 1: their first loss is much higher."""

from __future__ import annotations

from typing import Any

from tda_nerfstudio.base.terminal import warn
from tda_nerfstudio.learning.first_loss import first_loss
from tda_nerfstudio.learning.learner import Learner

ALIKE = 1.4
"""Highest first loss of new scenes of stage 1's class, as a multiple of that of stage 1's own scenes.

Measured with stage 1 on 8 of the embedded vehicles: 1.1 for others of them and 0.9 for real vehicles that stand alike,
learnt to 23.4 dB; 1.6 for those turned by 90 degrees (17.9 dB), 2.1 lying on their side (15.6), 2.4 other objects.
"""


def warn_if_unlike(learner: Learner, stage_one: dict[str, Any] | None) -> None:
    """Compare the first loss of new scenes with that of stage 1's own, and warn if it is much higher.

    `stage_one` is what `plugin.stage_one.known` returns. Does nothing if that does not have the loss, and for scenes
    that begin at random.
    """
    usual = None if stage_one is None else stage_one.get("start_loss")
    if stage_one is None or usual is None or learner.beginning is None:
        return
    found = first_loss(learner, learner.beginning())
    if found > ALIKE * usual:
        warn(
            f"These scenes are unlike those that stage 1 at {stage_one['run']} knows: L_latent starts at {found:.2f},"
            f" and for its own at {usual:.2f}. If they are of another class than {stage_one['data']}, or stand or are"
            " scaled in another way, they will be learnt badly: choose another stage 1 with --pipeline.autoencoder"
            " PATH, or train tda-ae on scenes like these."
        )
