"""Stop what a viewer is rendering before the process ends."""

from __future__ import annotations

import threading

from nerfstudio.viewer.render_state_machine import RenderStateMachine


def stop_rendering(patience: float = 10.0) -> None:
    """Let the threads in which viewers render come to an end, `patience` seconds each at most.

    Those of browsers that have left are among them. They are daemons: one that computes while Python ends takes the
    process down (exit code 134), although all is saved.
    """
    threads = [thread for thread in threading.enumerate() if isinstance(thread, RenderStateMachine)]
    for thread in threads:
        thread.running = False
        thread.interrupt_render_flag = True
        thread.render_trigger.set()
    for thread in threads:
        thread.join(patience)
