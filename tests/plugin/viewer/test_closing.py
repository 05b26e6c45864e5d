from __future__ import annotations

import threading
import time
from types import SimpleNamespace

from tda_nerfstudio.plugin.viewer.closing import stop_rendering


class Renderer(threading.Thread):
    """Render in short pieces until told not to, as nerfstudio's RenderStateMachine does."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.running, self.interrupt_render_flag = True, False
        self.render_trigger = threading.Event()

    def run(self) -> None:
        while self.running:
            self.render_trigger.wait(5)


def test_every_thread_that_renders_has_ended() -> None:
    viewer = SimpleNamespace(render_statemachines={0: Renderer(), 3: Renderer()})
    for thread in viewer.render_statemachines.values():
        thread.start()
    before = time.monotonic()
    stop_rendering(viewer)
    assert not any(thread.is_alive() for thread in viewer.render_statemachines.values())
    assert time.monotonic() - before < 4  # woken up, not waited for


def test_without_a_viewer_nothing_happens() -> None:
    stop_rendering(None)
