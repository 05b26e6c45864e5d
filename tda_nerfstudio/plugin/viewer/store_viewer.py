"""nerfstudio's viewer over a store: controls of training are hidden, and the ns-render command that it shows works."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from nerfstudio.configs.base_config import ViewerConfig
from nerfstudio.engine.trainer import TrainerConfig
from nerfstudio.pipelines.base_pipeline import VanillaPipelineConfig
from nerfstudio.viewer.viewer import Viewer

from tda_nerfstudio.base.atomic import save_tensors, write_text
from tda_nerfstudio.base.errors import counted
from tda_nerfstudio.plugin.stored_pipeline import StoredPipeline
from tda_nerfstudio.store.store import Store


def open_shown(config: StoredPipelineConfig, **_: Any) -> StoredPipeline:
    """Open a store for ns-render. TDA_SCENE names the scene; by default it is the one that the viewer showed last."""
    pipeline = StoredPipeline(Store(config.store))
    pipeline.select_scene(os.environ.get("TDA_SCENE") or config.scene)
    return pipeline


@dataclass
class StoredPipelineConfig(VanillaPipelineConfig):
    """A store as a pipeline, for ns-render."""

    _target: Any = field(default_factory=lambda: open_shown)
    """What opens it"""
    store: Path = Path()
    """Folder of the store."""
    scene: str | None = None
    """Name of the scene that is shown; the first by default."""


class StoreViewer(Viewer):
    """Show a store's scenes. Camera paths are kept in a folder, with a config.yml for ns-render."""

    def __init__(self, pipeline: StoredPipeline, config: ViewerConfig, folder: Path) -> None:
        store, place = pipeline.store, pipeline.store.folder.resolve()
        self.title = f"Store {place.parent.name}/{place.name}, {counted(len(store), 'scene')}"
        self.shown = TrainerConfig(
            method_name="tda-scenes",  # ns-render looks it up
            experiment_name=f"{place.parent.name}-{place.name}",
            timestamp="viewed",
            output_dir=folder.absolute() / "camera_paths",
            pipeline=StoredPipelineConfig(store=place),
        )
        log = self.shown.get_base_dir() / config.relative_log_filename
        log.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(config, log, folder, pipeline, train_lock=Lock())
        self.pause_train.visible = self.resume_train.visible = False
        for element in (self.control_panel._train_speed, self.control_panel._train_util):
            element.set_hidden(True)

    def make_stats_markdown(self, step: int | None, res: str | None) -> str:
        """Name the store in place of a step: nothing trains."""
        if res is None:
            res = self.stats_markdown.content.rsplit(": ", 1)[1].strip()
        return f"{self.title}  \nResolution: {res}"

    def init_scene(self, train_dataset: Any, train_state: Any, eval_dataset: Any = None) -> None:
        """Draw the scene's cameras, and remember which scene it is for ns-render."""
        super().init_scene(train_dataset, train_state, eval_dataset)
        import yaml

        self.shown.pipeline.scene = self.pipeline.datamanager.active_scene  # type: ignore[attr-defined]
        checkpoints = self.shown.get_checkpoint_dir()
        checkpoints.mkdir(parents=True, exist_ok=True)
        save_tensors(checkpoints / "step-000000000.ckpt", {"step": 0, "pipeline": {}})
        write_text(self.shown.get_base_dir() / "config.yml", yaml.dump(self.shown))
