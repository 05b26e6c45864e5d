from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

from nerfstudio.viewer.render_state_machine import RenderStateMachine

from tda_nerfstudio.plugin.viewer.closing import stop_rendering


class Renderer(RenderStateMachine):
    """Render in short pieces until told not to."""

    def run(self) -> None:
        while self.running:
            self.render_trigger.wait(5)


def test_every_thread_that_renders_has_ended_and_none_was_waited_for() -> None:
    viewer: Any = SimpleNamespace()
    threads = [Renderer(viewer, 10.0, viewer) for _ in range(2)]
    for thread in threads:
        thread.start()
    before = time.monotonic()
    stop_rendering()
    assert not any(thread.is_alive() for thread in threads)
    assert time.monotonic() - before < 4
    stop_rendering()  # nothing to stop any more
