"""A store in the form of a pipeline, for nerfstudio's viewer and our renderers. No images or checkpoints are needed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from nerfstudio.data.scene_box import SceneBox
from nerfstudio.pipelines.base_pipeline import Pipeline
from torch import Tensor, nn

from tda_nerfstudio.base.errors import StoreError, TdaError
from tda_nerfstudio.core.cameras import View
from tda_nerfstudio.plugin.cameras import as_cameras
from tda_nerfstudio.plugin.config_file import is_config
from tda_nerfstudio.plugin.finished import STORE, read_finished
from tda_nerfstudio.plugin.tda_model import TdaModel, TdaModelConfig
from tda_nerfstudio.plugin.viewer.scene_control import SceneControl
from tda_nerfstudio.store.shared_parts import is_store
from tda_nerfstudio.store.store import Store
from tda_nerfstudio.store.stored_scene import put

FRUSTUMS = 8
"""Cameras around a scene that the viewer draws, with what they would see."""


def store_of(source: Path) -> Path | None:
    """Find the store that a path stands for: itself, or that of a run, given by its folder or config.yml."""
    if is_store(source):
        return source
    if source.is_file() and not is_config(source):
        return None
    run = source.parent if source.is_file() else source
    folders = [run / STORE]
    with suppress(TdaError):  # a run that is not finished has a store of its own, if any
        folders += [Path(folder) for folder in [read_finished(run).get("store")] if folder]
    return next((folder for folder in folders if is_store(folder)), None)


class StoredDataset:
    """Cameras around the scene that is shown, and what they see of it, rendered when asked for."""

    def __init__(self, model: TdaModel, view: View) -> None:
        self.model = model
        self.cameras = as_cameras(view)

    def __len__(self) -> int:
        return len(self.cameras)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"image": self.model.get_outputs_for_camera(self.cameras[index : index + 1])["rgb"].cpu()}


class StoredManager(nn.Module):
    """What nerfstudio's viewer needs of a datamanager."""

    includes_time = False

    def __init__(self, store: Store, model: TdaModel) -> None:
        super().__init__()
        self.scene_names = store.names
        self.active_scene = self.scene_names[0]
        self.train_dataset = StoredDataset(model, store.orbit(FRUSTUMS))
        between = store.orbit(2 * FRUSTUMS, elevation=25.0)[1::2]  # where the viewer starts
        self.eval_dataset = StoredDataset(model, between)

    def get_datapath(self) -> Path:
        """Return the folder in which the viewer keeps camera paths. A store has only its own files, so not that."""
        return Path.cwd()


class StoredPipeline(Pipeline):
    """Show any scene of a store on the store's device. Raises StoreError for an empty or damaged store."""

    datamanager: Any
    _model: TdaModel

    def __init__(self, store: Store) -> None:
        super().__init__()
        if not len(store):
            raise StoreError(
                f"{store.folder} holds no scenes yet. Learn some: ns-train tda-scenes --pipeline.store ..."
            )
        self.store, parts, device = store, store.shared, store.device
        shared = parts.config
        config = TdaModelConfig(triplane=shared.triplane, autoencoder=shared.autoencoder, sampling=shared.sampling)
        box = SceneBox(aabb=parts.scenes.box)
        names = {"scene_names": ["shown"]}
        self._model = config.setup(scene_box=box, num_train_data=0, metadata=names, device=device, grad_scaler=None)
        self.model.field.scenes.load_state_dict(parts.scenes.state_dict())
        self.model.autoencoder.load_state_dict(parts.autoencoder.state_dict())
        self.model.to(device).eval().requires_grad_(False)
        self.model.native_focal = store.manifest.camera.focal
        self.datamanager = StoredManager(store, self.model)
        self.select_scene(None)
        self.scene_control = SceneControl(self.datamanager, self.select_scene, self.model.field.scenes.box)
        self.scene = self.scene_control.dropdown

    @property
    def model(self) -> TdaModel:
        """The model, which holds the scene that is shown."""
        return self._model

    @torch.no_grad()
    def select_scene(self, name: str | None) -> None:
        """Read a scene, the first one by default, and show it. Raises StoreError for an unknown or damaged one."""
        name = str(name or self.datamanager.scene_names[0])
        put(self.model.field.scenes, self.store[name].learnt, self.model.autoencoder.background)
        self.datamanager.active_scene = name
