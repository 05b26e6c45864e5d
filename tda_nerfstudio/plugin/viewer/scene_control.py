"""Our controls in nerfstudio's viewer: each browser tab has its own scene, output and comparison there, too."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from nerfstudio.viewer.render_state_machine import RenderAction, RenderStateMachine
from nerfstudio.viewer.viewer_elements import ViewerControl

from tda_nerfstudio.looking.painting import Looked
from tda_nerfstudio.looking.shelf import Shelf
from tda_nerfstudio.looking.truth import Truth
from tda_nerfstudio.looking.viewer import camera
from tda_nerfstudio.looking.viewer.panel import Panel
from tda_nerfstudio.plugin.viewer.live_source import LiveSource, ScenePipeline

if TYPE_CHECKING:
    from nerfstudio.viewer.viewer import Viewer
    from viser import ClientHandle


class SceneControl(ViewerControl):
    """Add a panel for every tab that opens, and tell what the tab that renders looks at.

    nerfstudio finds it as an attribute of TdaPipeline when its viewer starts.
    """

    def __init__(self, pipeline: ScenePipeline) -> None:
        self.pipeline, self.panels = pipeline, dict[int, Panel]()
        self.source = LiveSource(pipeline)

    def _setup(self, viewer: Viewer) -> None:
        super()._setup(viewer)
        manager = self.pipeline.datamanager
        truth = Truth(manager.get_datapath(), manager.views.width, manager.views.height)
        self.shelf = Shelf(self.source, truth)
        self.frustums = manager.active_scene
        viewer.show_images.on_click(lambda _: self._draw_frustums())
        viewer.viser_server.on_client_connect(lambda client: threading.Thread(target=self._come, args=[client]).start())
        viewer.viser_server.on_client_disconnect(self._gone)

    def _come(self, client: ClientHandle) -> None:
        """Set a tab up. Frustums are hidden: one of them would cover the picture as soon as the camera passes it."""
        from nerfstudio.viewer.viewer import VISER_NERFSTUDIO_SCALE_RATIO as SCALE

        try:
            if not self.panels and self.viewer.hide_images.visible:
                self.viewer.set_camera_visibility(False)
                self.viewer.toggle_cameravis_button()
            camera.start(client, self.source, SCALE)
            name = self.pipeline.datamanager.active_scene
            self.panels[client.client_id] = Panel(
                client, self.shelf, lambda: self._changed(client), name, SCALE, self.viewer.stats_markdown.order
            )
        except (AssertionError, KeyError):  # the tab was closed meanwhile
            self.panels.pop(client.client_id, None)

    def _gone(self, client: ClientHandle) -> None:
        self.panels.pop(client.client_id, None)

    def _changed(self, client: ClientHandle) -> None:
        """Paint a tab anew. The scene that was chosen last is the one that nerfstudio's own parts of the panel mean."""
        panel = self.panels.get(client.client_id)
        machine = self.viewer.render_statemachines.get(client.client_id)
        if panel is None or machine is None:
            return
        manager = self.pipeline.datamanager
        if panel.look.scene in self.source.names and panel.look.scene != manager.active_scene:
            with self.viewer.train_lock or threading.Lock():
                self.pipeline.select_scene(panel.look.scene)
            if self.viewer.hide_images.visible:
                self._draw_frustums()
        machine.action(RenderAction("rerender", self.viewer.get_camera_state(client)))

    def _draw_frustums(self) -> None:
        """Draw the cameras of the active scene in place of those that were drawn before."""
        viewer, manager = self.viewer, self.pipeline.datamanager
        if self.frustums == manager.active_scene:
            return
        self.frustums = manager.active_scene
        for handle in getattr(viewer, "camera_handles", {}).values():
            handle.remove()
        state = "completed" if viewer.trainer is None else viewer.trainer.training_state
        viewer.init_scene(manager.train_dataset, state, manager.eval_dataset)
        viewer.set_camera_visibility(viewer.hide_images.visible)

    def looked(self) -> Looked | None:
        """Say what the tab looks at whose thread calls; None in other threads, and for a tab without a panel yet."""
        thread = threading.current_thread()
        panel = self.panels.get(thread.client.client_id) if isinstance(thread, RenderStateMachine) else None
        if panel is None or not isinstance(thread, RenderStateMachine):
            return None
        self.source.state = self.viewer.step
        if panel.look.scene not in self.source.names:  # training has turned to another wave
            panel.finder.refresh()
        return Looked(panel.shelf, panel.look, thread.state == "low_move")

    def show(self) -> None:
        """Offer other scenes, when training turns to them."""
        for panel in list(self.panels.values()):
            panel.finder.refresh()
