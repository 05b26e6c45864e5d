"""The viewer's drop-down of scenes, and where its camera starts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from jaxtyping import Float
from nerfstudio.viewer.viewer_elements import ViewerControl, ViewerDropdown
from torch import Tensor

if TYPE_CHECKING:
    from nerfstudio.viewer.viewer import Viewer
    from viser import ClientHandle


class SceneManager(Protocol):
    """A datamanager of many scenes, whose datasets are those of one of them: the active scene."""

    scene_names: list[str]
    active_scene: str
    train_dataset: Any
    eval_dataset: Any


class SceneControl(ViewerControl):
    """Switch the scene that the viewer shows, its camera frustums and thumbnails with it.

    nerfstudio shows the elements that it finds as attributes of a pipeline. A new one must be made an attribute of
    TdaPipeline and of StoredPipeline, as `scene` is.
    """

    def __init__(self, manager: SceneManager, select: Callable[[str], None], box: Float[Tensor, "2 3"]) -> None:
        """Let `select` make a scene the active one. All scenes are in the box."""
        self.manager, self.select, self.box = manager, select, box
        names = list(manager.scene_names)
        self.dropdown = ViewerDropdown("Scene", manager.active_scene, names, cb_hook=self._switch)

    def _setup(self, viewer: Viewer) -> None:
        super()._setup(viewer)
        viewer.viser_server.on_client_connect(self._look_at_scene)

    def _look_at_scene(self, client: ClientHandle) -> None:
        """Start as the first held-out camera: the viewer's own start may lie inside the object."""
        from nerfstudio.viewer.viewer import VISER_NERFSTUDIO_SCALE_RATIO

        cameras = self.manager.eval_dataset.cameras
        position = cameras.camera_to_worlds[0, :, 3].cpu().numpy()
        with client.atomic():
            client.camera.fov = 2 * math.atan(float(cameras.height[0]) / 2 / float(cameras.fy[0]))
            client.camera.up_direction = np.array([0.0, 0.0, 1.0])
            client.camera.position = position * VISER_NERFSTUDIO_SCALE_RATIO
            client.camera.look_at = self.box.mean(0).cpu().numpy() * VISER_NERFSTUDIO_SCALE_RATIO

    def show(self, names: Sequence[str]) -> None:
        """Offer other scenes, when training turns to them."""
        self.dropdown.default_value = self.manager.active_scene
        self.dropdown.set_options(list(names))

    def _switch(self, element: ViewerDropdown) -> None:
        self.select(element.value)
        viewer = self.viewer
        for handle in getattr(viewer, "camera_handles", {}).values():
            handle.remove()
        state = "completed" if viewer.trainer is None else viewer.trainer.training_state
        viewer.init_scene(self.manager.train_dataset, state, self.manager.eval_dataset)
        viewer.set_camera_visibility(viewer.hide_images.visible)  # the button offers to hide what is shown
