"""Learn a wave of scenes from their beginning to their scores: the one call that any engine makes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from tda_nerfstudio.atlas.atlas import Atlas
from tda_nerfstudio.base.errors import TdaError, counted, listed, suggest
from tda_nerfstudio.base.progress import track
from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.core.metrics import stored_scores
from tda_nerfstudio.core.scenes import LatentScenes
from tda_nerfstudio.learning.batches import Batches, StepSize
from tda_nerfstudio.learning.beginning import Beginning
from tda_nerfstudio.learning.learner import Learner
from tda_nerfstudio.learning.retry import diverged, learn_again, table_beside
from tda_nerfstudio.learning.schedule import StageTwo
from tda_nerfstudio.learning.scoring import evaluate
from tda_nerfstudio.learning.views import SceneViews
from tda_nerfstudio.learning.waves import plan
from tda_nerfstudio.store.learnt_scene import LearntScene, Record
from tda_nerfstudio.store.shared_parts import SharedParts


class Outcome(NamedTuple):
    """What became of a wave."""

    metrics: dict[str, Any]
    """Scores, as `scoring.evaluate` gives them."""
    aside: dict[str, str]
    """Scenes that could not be learnt, with the reasons."""
    again: list[str]
    """Scenes that were learnt once more."""


class LearntWave(NamedTuple):
    """The scenes of a wave, ready for a store."""

    scenes: list[LearntScene]
    metrics: dict[str, Any]
    aside: dict[str, str]


def conclude(learner: Learner, stopped: Callable[[], bool] = lambda: False) -> Outcome | None:
    """Score a wave whose last step is done; where scenes are independent, learn once more what went wrong in it.

    Gives None when that was stopped before it was done, which leaves everything as it was.
    """
    metrics = _scored(learner)
    aside = diverged(metrics, learner.names) if learner.independent else {}
    unreadable = learner.batches.views.unreadable
    again = [name for name in aside if name not in unreadable]
    for name in again:
        CONSOLE.print(f"Scene '{name}' went wrong. {aside[name]}", style="yellow", markup=False)
    if again:
        if not learn_again(learner, again, stopped):
            return None
        metrics = _scored(learner)
        aside = diverged(metrics, learner.names)
    return Outcome(metrics, aside, again)


def _scored(learner: Learner) -> dict[str, Any]:
    learner.scenes.eval()
    learner.codec.eval()
    return evaluate(learner.scenes, learner.codec, learner.batches.views, learner.sampling)


def learnt_scenes(
    scenes: LatentScenes,
    names: Sequence[str],
    metrics: Mapping[str, Any] | None,
    provenance: Mapping[str, Any],
    leave_out: Collection[str] = (),
) -> list[LearntScene]:
    """Take scenes out of the first rows of a table.

    Metrics are those of `evaluate`; without, the scenes are not finished. Left out are those that are named and those
    whose numbers are not all finite.
    """
    broken, r = {*leave_out, *scenes.diverged(names)}, scenes.config.resolution
    taken = []
    for row, name in enumerate(names):
        if name in broken:
            continue
        found = ((metrics or {}).get("scenes") or {}).get(name) or {}
        scores = {key: round(float(found[key]), 4) for key in stored_scores() if key in found}
        record = Record(name, scores, dict(provenance), metrics is not None)
        micro = scenes.micro[row].detach().view(3, r, r, -1).cpu().clone()
        weights, occupied = scenes.weights[row].detach().cpu().clone(), scenes.occupied[row].cpu().clone()
        taken.append(LearntScene(record, micro, weights, occupied))
    return taken


def learn_wave(
    views: Atlas,
    shared: SharedParts,
    names: Sequence[str],
    seed: int,
    *,
    schedule: StageTwo | None = None,
    size: StepSize | None = None,
    steps: int | None = None,
    latents: Path | None = None,
    device: torch.device | str | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> LearntWave | None:
    """Learn some scenes of an atlas in a latent space that is given, and nothing else: `shared` does not change.

    The result follows from images, shared parts, names, seed, schedule, step size and `steps` (the schedule rescaled to
    so many) alone; with `StepSize(scenes=1)` a scene is the same bits whatever is learnt beside it. With a folder
    `latents`, encoded images are kept there. None when `stopped` said so. Raises TdaError for names that the atlas does
    not have, and for a schedule that moves shared parts.
    """
    schedule, size, names = schedule or StageTwo(), size or StepSize(), list(dict.fromkeys(names))
    if not schedule.independent:
        raise TdaError("learn_wave keeps shared parts frozen. Give a schedule with shared='frozen'.")
    by_name = {scene.name: scene for scene in views.scenes}
    if unknown := [name for name in names if name not in by_name]:
        near = suggest(unknown[0], by_name)
        raise TdaError(f"The atlas {views.root} ({listed(views.names)}) has no scene '{unknown[0]}'.{near}")
    if not names:
        raise TdaError(f"No scene is named. Give names of the atlas {views.root} ({listed(views.names)}).")
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    chosen = SceneViews(replace(views, scenes=tuple(by_name[name] for name in names)), device, tolerant=True)
    table, codec = table_beside(shared.to(device).scenes, len(names)), deepcopy(shared.autoencoder).to(device)
    waves = plan(schedule, size, chosen.pixels, len(names), total=steps)
    if not waves:
        raise TdaError("The schedule has no steps: give some phase more visits, or `steps` of 1 or more.")
    beginning = None if schedule.start == "cold" else lambda: Beginning(shared.weights, shared.occupied)
    batches = Batches(chosen, codec, size, seed, folder=latents)
    learner = Learner(table, codec, batches, waves[0], shared.config.sampling, seed, beginning, keeps_space=True)
    for step in track(range(waves[0].end), f"Learning {counted(len(names), 'scene')}"):
        if stopped():
            return None
        learner.step(step)
    outcome = conclude(learner, stopped)
    if outcome is None:
        return None
    provenance = {"data": views.root.name, "seed": seed}
    return LearntWave(learnt_scenes(table, names, outcome.metrics, provenance, outcome.aside), *outcome[:2])
