"""Rows of buttons. viser 0.2.7 forgets to tell of a click on the button that was clicked last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

NONE = ""


def add_buttons(
    gui: Any, label: str, options: Sequence[str], clicked: Callable[[str], None], visible: bool = True
) -> Any:
    """Add buttons beside each other; `clicked` is told which one was clicked, also when it is the same again."""
    group = gui.add_button_group(label, tuple(options), visible=visible)

    def told(event: Any) -> None:
        if event.client is not None and group.value != NONE:
            option, group.value = group.value, NONE
            clicked(option)

    group.on_click(told)
    group.value = NONE
    return group
