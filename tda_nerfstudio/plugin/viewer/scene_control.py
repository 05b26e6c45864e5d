"""The viewer's drop-down of scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nerfstudio.viewer.viewer_elements import ViewerControl, ViewerDropdown

if TYPE_CHECKING:
    from nerfstudio.viewer.viewer import Viewer

    from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline


class SceneControl(ViewerControl):
    """Switch the scene that the viewer shows, its camera frustums and thumbnails with it."""

    def __init__(self, pipeline: TdaPipeline) -> None:
        self.pipeline = pipeline
        names = pipeline.datamanager.scene_names
        self.dropdown = ViewerDropdown("Scene", pipeline.datamanager.active_scene, list(names), cb_hook=self._switch)

    def _switch(self, element: ViewerDropdown) -> None:
        self.pipeline.select_scene(element.value)
        manager, viewer = self.pipeline.datamanager, self.viewer
        for handle in getattr(viewer, "camera_handles", {}).values():
            handle.remove()
        viewer.init_scene(manager.train_dataset, viewer.train_state, manager.eval_dataset)
