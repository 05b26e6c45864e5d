"""The viewer's drop-down of scenes, and where its camera starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from nerfstudio.viewer.viewer_elements import ViewerControl, ViewerDropdown

if TYPE_CHECKING:
    from nerfstudio.viewer.viewer import Viewer
    from viser import ClientHandle


class SceneManager(Protocol):
    """A datamanager of many scenes, whose datasets are those of one scene: the active one."""

    scene_names: list[str]
    active_scene: str
    train_dataset: Any
    eval_dataset: Any


class ScenePipeline(Protocol):
    """A pipeline of many scenes, all in the box of its model."""

    @property
    def datamanager(self) -> SceneManager:
        """Serve the active scene."""
        ...

    @property
    def model(self) -> Any:
        """Render it."""

    def select_scene(self, name: str | None) -> None:
        """Make another scene the active one."""


class SceneControl(ViewerControl):
    """Switch the scene that the viewer shows, its camera frustums and thumbnails with it."""

    def __init__(self, pipeline: ScenePipeline) -> None:
        self.pipeline = pipeline
        names = pipeline.datamanager.scene_names
        self.dropdown = ViewerDropdown("Scene", pipeline.datamanager.active_scene, list(names), cb_hook=self._switch)

    def _setup(self, viewer: Viewer) -> None:
        super()._setup(viewer)
        viewer.viser_server.on_client_connect(self._look_at_scene)

    def _look_at_scene(self, client: ClientHandle) -> None:
        """Start as the first held-out camera: the viewer's own start may lie inside the object."""
        from nerfstudio.viewer.viewer import VISER_NERFSTUDIO_SCALE_RATIO

        centre = self.pipeline.model.field.scenes.box.mean(0).cpu().numpy()
        cameras = self.pipeline.datamanager.eval_dataset.cameras
        position = cameras.camera_to_worlds[0, :, 3].cpu().numpy()
        with client.atomic():
            client.camera.fov = 2 * math.atan(float(cameras.height[0]) / 2 / float(cameras.fy[0]))
            client.camera.up_direction = np.array([0.0, 0.0, 1.0])
            client.camera.position = position * VISER_NERFSTUDIO_SCALE_RATIO
            client.camera.look_at = centre * VISER_NERFSTUDIO_SCALE_RATIO

    def show(self, names: Sequence[str]) -> None:
        """Offer other scenes, when training turns to them."""
        self.dropdown.default_value = self.pipeline.datamanager.active_scene
        self.dropdown.set_options(list(names))

    def _switch(self, element: ViewerDropdown) -> None:
        self.pipeline.select_scene(element.value)
        manager, viewer = self.pipeline.datamanager, self.viewer
        for handle in getattr(viewer, "camera_handles", {}).values():
            handle.remove()
        state = "completed" if viewer.trainer is None else viewer.trainer.training_state
        viewer.init_scene(manager.train_dataset, state, manager.eval_dataset)
        viewer.set_camera_visibility(viewer.hide_images.visible)  # the button offers to hide what is shown
