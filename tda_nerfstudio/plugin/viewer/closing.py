"""Stop what a viewer is rendering before the process ends."""

from __future__ import annotations

import threading

from nerfstudio.viewer.render_state_machine import RenderStateMachine


def stop_rendering(patience: float = 10.0) -> None:
    """End the threads in which viewers render, also those of browsers that have left. Wait `patience` seconds for each.

    They are daemons: one that computes while Python ends would crash the process (exit code 134).
    """
    threads = [thread for thread in threading.enumerate() if isinstance(thread, RenderStateMachine)]
    for thread in threads:
        thread.running = False
        thread.interrupt_render_flag = True
        thread.render_trigger.set()
    for thread in threads:
        thread.join(patience)
