"""The scenes that a run has in memory, as the viewer's controls look at them: also while they are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from tda_nerfstudio.base.errors import StoreError, TdaError
from tda_nerfstudio.plugin.config_file import being_read
from tda_nerfstudio.plugin.finished import read_finished
from tda_nerfstudio.store.learnt_scene import LearntScene, Record
from tda_nerfstudio.store.manifest import DefaultCamera, SharedConfig
from tda_nerfstudio.store.shared_parts import SharedParts


class ScenePipeline(Protocol):
    """A pipeline with the scenes of one wave in memory."""

    datamanager: Any

    @property
    def model(self) -> Any:
        """The model, whose field holds the scenes."""
        ...

    def select_scene(self, name: str | None) -> None:
        """Make a scene the active one."""
        ...


class LiveSource:
    """A pipeline's scenes. `state` has to be raised whenever their tensors change."""

    def __init__(self, pipeline: ScenePipeline) -> None:
        self.pipeline, self.state = pipeline, 0
        self.title = Path(pipeline.datamanager.get_datapath()).name
        self._run = being_read()
        self._parts: tuple[int, SharedParts] | None = None

    @property
    def names(self) -> Sequence[str]:
        """Names of the scenes of the wave in memory."""
        return self.pipeline.datamanager.scene_names

    @property
    def camera(self) -> DefaultCamera:
        """The cameras of the images."""
        return self.pipeline.datamanager.views.usual_camera(self.pipeline.model.field.scenes.box)

    @property
    def parts(self) -> SharedParts:
        """The model's own parts, as they are now."""
        if self._parts is None or self._parts[0] != self.state:
            model = self.pipeline.model
            table, config = model.field.scenes, model.config
            shared = SharedConfig(config.triplane, config.autoencoder, config.sampling)
            mean, any_fills = table.weights.detach().mean(0), table.occupied.any(0)
            self._parts = self.state, SharedParts(shared, table, model.autoencoder, mean, any_fills)
        return self._parts[1]

    def learnt(self, name: str) -> LearntScene:
        """Take a scene's row out of the table."""
        if name not in self.names:
            raise StoreError(f"Scene '{name}' is not in memory now: another wave is.")
        table, row, r = self.pipeline.model.field.scenes, self.names.index(name), 0
        r = table.config.resolution
        micro = table.micro[row].detach().view(3, r, r, table.config.micro_channels)
        return LearntScene(self.record(name), micro, table.weights[row].detach(), table.occupied[row])

    @cached_property
    def _scores(self) -> Mapping[str, Mapping[str, float]]:
        try:
            metrics = read_finished(self._run)["metrics"] if self._run is not None else {}
        except (TdaError, KeyError):  # it is still training
            return {}
        return (metrics or {}).get("scenes", {})

    def record(self, name: str) -> Record:
        """Give a finished run's scores of a scene."""
        scores = self._scores.get(name, {})
        known = {key: float(value) for key, value in scores.items() if isinstance(value, int | float)}
        return Record(name, known, finished=bool(known))

    def facts(self, name: str) -> Mapping[str, int]:
        """Scenes in memory have no files."""
        return {}

    def aside(self) -> Mapping[str, str]:
        """No scene in memory is put aside."""
        return {}
