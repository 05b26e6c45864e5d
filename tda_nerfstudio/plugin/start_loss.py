"""Warn of new scenes that begin far from their images."""

from __future__ import annotations

from typing import Any

from tda_nerfstudio.base.terminal import warn
from tda_nerfstudio.learning.first_loss import first_loss
from tda_nerfstudio.learning.learner import Learner

ALIKE = 1.4
"""New scenes of the same class start at most this far from their images, as a share of what stage 1's own do.

Measured with stage 1 on 8 of the embedded vehicles: 1.1 for others of them and 0.9 for real vehicles that stand alike,
learnt to 23.4 dB; 1.6 for those turned by 90 degrees (17.9 dB), 2.1 lying on their side (15.6), 2.4 other objects.
"""


def compare_first_loss(learner: Learner, manifest: dict[str, Any] | None) -> None:
    """Say loudly when new scenes start much farther from their images than stage 1's own; older runs do not tell."""
    usual = None if manifest is None else manifest.get("start_loss")
    if manifest is None or usual is None or learner.beginning is None:
        return
    found = first_loss(learner)
    if found > ALIKE * usual:
        warn(
            f"These scenes are unlike those that stage 1 at {manifest['run']} knows: L_latent starts at {found:.2f},"
            f" and for its own at {usual:.2f}. If they are of another class than {manifest['data']}, or stand or are"
            " scaled in another way, they will be learnt badly: choose another stage 1 with --pipeline.autoencoder"
            " PATH, or train tda-ae on scenes like these."
        )
