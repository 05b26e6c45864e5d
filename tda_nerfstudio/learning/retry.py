"""Scenes that went wrong: found by comparison with the other scenes of their wave, and learnt once more.

`conclude` in learn_wave.py decides when, and how often.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import torch

from tda_nerfstudio.base.errors import counted
from tda_nerfstudio.base.progress import track
from tda_nerfstudio.core.scenes import LatentScenes
from tda_nerfstudio.learning.learner import Learner

FAR, SPREADS = 6.0, 5.0
"""A scene went wrong if it lacks more than its neighbours by this many dB and by this many times their spread."""
NEIGHBOURS = 4
"""Least number of scored scenes by which it can be said what is usual."""


def diverged(metrics: dict[str, Any], names: Sequence[str]) -> dict[str, str]:
    """Find the scenes of a wave that went wrong, and the reasons, in the metrics of `evaluate`.

    These are all that were left out, and all that lack far more than their neighbours. What a scene lacks, in dB, is
    the PSNR of the autoencoder alone on the same views minus its own: a scene that is hard to encode did not go wrong.
    The spread of the neighbours is 1.48 times their median distance from their median.
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


def table_beside(scenes: LatentScenes, count: int) -> LatentScenes:
    """Make a table of `count` other scenes that has the same base planes, MLP and box: the same tensors, no copies."""
    table = LatentScenes(count, scenes.channels, scenes.config).to(scenes.box.device)
    table.base, table.hidden, table.head, table.box = scenes.base, scenes.hidden, scenes.head, scenes.box
    table.starter = scenes.starter
    return table


def learn_again(learner: Learner, names: Sequence[str], stopped: Callable[[], bool]) -> bool:
    """Learn some of a learner's scenes once more, from where they began, with other views and rays.

    A second, small learner does it. Its scenes are copied back at the end, and no other scene changes. `stopped` is
    asked before every step; returns False when it says so, and then nothing has changed.
    """
    rows = [learner.names.index(name) for name in names]
    table, batches = table_beside(learner.scenes, len(rows)), learner.batches.only(rows, attempt=1)
    wave = learner.wave.only(rows, batches.size, batches.parts)
    small = learner.beside(table, batches, wave)
    for step in track(range(wave.start, wave.end), f"Learning {counted(len(rows), 'scene')} that went wrong once more"):
        if stopped():
            return False
        small.step(step)
    own = learner.scenes
    with torch.no_grad():
        own.micro[rows], own.weights[rows], own.occupied[rows] = table.micro, table.weights, table.occupied
    return True
