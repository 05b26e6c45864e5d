"""Scenes that went wrong: found by their neighbours, and learnt once more."""

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


def table_beside(scenes: LatentScenes, count: int) -> LatentScenes:
    """Make a table of other scenes that has the same base planes, MLP and box, not copies of them."""
    table = LatentScenes(count, scenes.channels, scenes.config).to(scenes.box.device)
    table.base, table.hidden, table.head, table.box = scenes.base, scenes.hidden, scenes.head, scenes.box
    return table


def learn_again(learner: Learner, names: Sequence[str], stopped: Callable[[], bool]) -> bool:
    """Learn some of a learner's scenes once more from their beginning, with other draws, beside nothing else.

    A second, small learner does it: all other scenes stay as they are, and so do these until it is done. Says whether
    it was, and not stopped before.
    """
    rows = [learner.names.index(name) for name in names]
    table, batches = table_beside(learner.scenes, len(rows)), learner.batches.only(rows, attempt=1)
    wave = learner.wave.only(rows, batches.size, batches.views.pixels)
    small = learner.beside(table, batches, wave)
    for step in track(range(wave.start, wave.end), f"Learning {counted(len(rows), 'scene')} that went wrong once more"):
        if stopped():
            return False
        small.step(step)
    own, again = learner.scenes, table
    with torch.no_grad():
        own.micro[rows], own.weights[rows], own.occupied[rows] = again.micro, again.weights, again.occupied
    learner.training.move(learner.span.phase.rates if learner.span is not None else ())
    return True
