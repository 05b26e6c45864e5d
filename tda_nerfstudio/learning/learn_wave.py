"""Learn a wave of scenes, from where they begin to their scores, in one call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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
from tda_nerfstudio.learning.schedule import Setting, StageTwo
from tda_nerfstudio.learning.scoring import evaluate
from tda_nerfstudio.learning.views import SceneViews
from tda_nerfstudio.learning.waves import plan
from tda_nerfstudio.store.learnt_scene import LearntScene, Record
from tda_nerfstudio.store.shared_parts import SharedParts


class Outcome(NamedTuple):
    """The result of a wave whose steps are done."""

    metrics: dict[str, Any]
    """Scores, as `scoring.evaluate` returns them."""
    aside: dict[str, str]
    """The reason for each scene that could not be learnt."""
    again: list[str]
    """Names of scenes that were learnt once more."""


class LearntWave(NamedTuple):
    """The scenes of a wave as a store takes them, and their result as in `Outcome`."""

    scenes: list[LearntScene]
    metrics: dict[str, Any]
    aside: dict[str, str]


def conclude(learner: Learner, stopped: Callable[[], bool] = lambda: False) -> Outcome | None:
    """Score a wave whose last step is done. If scenes are independent, learn those once more that went wrong.

    `stopped` is asked before every step of that. Returns None when it says so; then no scene has changed.
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
    return evaluate(learner.scenes, learner.codec, learner.batches.views, learner.sampling)


def learnt_scenes(
    scenes: LatentScenes,
    names: Sequence[str],
    metrics: Mapping[str, Any] | None,
    provenance: Mapping[str, Any],
    leave_out: Collection[str] = (),
) -> list[LearntScene]:
    """Copy scenes out of the first rows of a table, whose names are `names`.

    `metrics` are those of `evaluate`. Without them, the scenes are marked as not finished. Scenes of `leave_out` are
    left out, and so are scenes with numbers that are not finite.
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
    """Learn scenes of an atlas in a latent space that is given (Sec. 3.3 of 2403.11678). `shared` does not change.

    The result follows from images, shared parts, names, seed, schedule, step size and `steps` alone; with `steps`, the
    schedule is rescaled to so many. With `StepSize(scenes=1)` the bits of a scene do not depend on the others. Encoded
    images are kept in the folder `latents`, if one is given. Without `device`, a GPU is used if there is one. `stopped`
    is asked before every step; returns None when it says so. Raises TdaError for names that the atlas does not have,
    for a schedule that moves shared parts, and for one without steps.
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
    parts = shared.to(device)
    table, codec = table_beside(parts.scenes, len(names)), parts.autoencoder
    batches = Batches(chosen, codec, size, seed, folder=latents)
    sizes, starts = shared.config, shared.config.triplane.starts
    setting = Setting(sizes.autoencoder, size.share(batches.parts), views.train_views, len(names), starts)
    schedule = schedule.fitted(setting)
    waves = plan(schedule, size, batches.parts, len(names), total=steps)
    if not waves:
        raise TdaError("The schedule has no steps: give some phase more visits, or `steps` of 1 or more.")
    beginning = (
        None
        if schedule.start == "cold"
        else lambda: Beginning(shared.weights, shared.occupied, schedule.start == "network")
    )
    learner = Learner(table, codec, batches, waves[0], shared.config.sampling, seed, beginning, keeps_space=True)
    for step in track(range(waves[0].end), f"Learning {counted(len(names), 'scene')}"):
        if stopped():
            return None
        learner.step(step)
    outcome = conclude(learner, stopped)
    if outcome is None:
        return None
    provenance = {"data": views.root.name, "seed": seed}
    learnt = learnt_scenes(table, names, outcome.metrics, provenance, outcome.aside)
    return LearntWave(learnt, outcome.metrics, outcome.aside)
