"""The end of a wave: its scenes are scored, learnt once more if they went wrong, and put into the store."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tda_nerfstudio.base.atomic import write_text
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.terminal import CONSOLE, warn
from tda_nerfstudio.learning.learn_wave import conclude
from tda_nerfstudio.learning.learner import Learner
from tda_nerfstudio.learning.schedule import StageTwo
from tda_nerfstudio.learning.scoring import merge
from tda_nerfstudio.learning.waves import Wave
from tda_nerfstudio.plugin.finished import STORE
from tda_nerfstudio.plugin.run_store import open_store, store_scenes
from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline
from tda_nerfstudio.store.store import Store

WAVES = "waves"
"""Folder beside a run's config.yml: the scores of its waves."""


class Bank:
    """Keep the results of a run's waves: scores in RUN/waves if there are several, scenes of stage 2 in a store.

    The store is the one that was asked for, or RUN/store.
    """

    def __init__(self, pipeline: TdaPipeline, run: Path) -> None:
        """Raise StoreError when a store was asked for that holds scenes of other shared parts."""
        self.pipeline, self.run, manager = pipeline, run, pipeline.datamanager
        self.provenance = {"data": manager.get_datapath().name, "seed": manager.config.seed, "run": run.name}
        asked = pipeline.config.store
        self.folder = (asked or run / STORE) if isinstance(pipeline.config.schedule, StageTwo) else None
        pipeline.own_store = self.folder
        if asked is not None:
            assert self.store.folder == asked

    @cached_property
    def store(self) -> Store:
        """The store; the first use makes it if there is none."""
        assert self.folder is not None
        given = self.pipeline.stage_one()[0] if self.pipeline.config.schedule.independent else None
        return open_store(self.folder, self.pipeline, given)

    def store_name(self) -> str | None:
        """Name the store for finished.json: the run's own one relative to the run's folder, which may be moved."""
        return None if self.folder is None else STORE if self.folder == self.run / STORE else str(self.folder)

    def put(self, metrics: dict[str, Any] | None, aside: Mapping[str, str]) -> None:
        """Put the scenes in memory into the store. Without metrics they are marked as not finished.

        Scenes of `aside` are noted there with the reason. If that fails, prints why, since the checkpoint has the
        scenes. Raises TdaError instead if they would be lost with the next wave, or if the user named the store.
        """
        if self.folder is None:
            return
        try:
            store_scenes(self.store, self.pipeline, metrics, self.provenance, leave_out=aside)
            for name, reason in aside.items():
                if name in self.store and not self.store.record(name).finished:  # what the last save knew of it
                    self.store.remove(name)
                self.store.put_aside(name, reason, self.provenance)
        except (TdaError, OSError) as error:
            problem = f"The scenes are not in the store {self.folder}: {error}"
            if metrics is not None and (len(self.pipeline.waves) > 1 or self.pipeline.config.store is not None):
                raise TdaError(problem) from error
            CONSOLE.print(problem, style="yellow", markup=False)
        for name, reason in aside.items():
            CONSOLE.print(f"Scene '{name}' is put aside: {reason}", style="yellow", markup=False)

    def close(self, learner: Learner, stopped: Callable[[], bool]) -> bool | None:
        """Score a wave whose steps are done, learn those scenes once more that went wrong, and keep the result.

        Returns whether any scene changed. Returns None when `stopped` says so before that is done; then nothing has
        changed.
        """
        outcome = conclude(learner, stopped)
        if outcome is None:
            return None
        self.put(outcome.metrics, outcome.aside)
        self._last = outcome.metrics
        if len(self.pipeline.waves) > 1:
            write_text(self._path(learner.wave), json.dumps(outcome.metrics))
        return bool(outcome.again)

    def closed(self, step: int) -> bool:
        """Tell whether the result of the wave that ends before a step was kept. True if none ends there."""
        ended = [wave for wave in self.pipeline.waves if wave.end == step]
        return not ended or self._path(ended[0]).is_file()

    def results(self) -> dict[str, Any]:
        """Return the metrics of all waves together."""
        waves = self.pipeline.waves
        if len(waves) == 1:
            return self._last
        return merge([json.loads(self._path(wave).read_text()) for wave in waves])

    def _path(self, wave: Wave) -> Path:
        return self.run / WAVES / f"{wave.scenes[0]:06d}.json"


def check_learnt(metrics: dict[str, Any], names: Sequence[str]) -> None:
    """Warn of the scenes of a run that went wrong. Raises TdaError when all did."""
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
