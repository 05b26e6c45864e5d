"""Stop what a viewer is rendering before the process ends."""

from __future__ import annotations

from typing import Any


def stop_rendering(viewer: Any, patience: float = 10.0) -> None:
    """Let the threads in which a viewer renders for its browsers come to an end, `patience` seconds each at most.

    They are daemons: one that computes while Python ends takes the process down (exit code 134), although all is saved.
    """
    threads = list(getattr(viewer, "render_statemachines", {}).values())
    for thread in threads:
        thread.running = False
        thread.interrupt_render_flag = True
        thread.render_trigger.set()
    for thread in threads:
        thread.join(patience)
