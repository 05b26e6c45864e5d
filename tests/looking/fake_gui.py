"""viser's panel without a browser: handles that hold values, and people who change them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np


class Handle:
    """An element of the panel. `by_hand` changes it as somebody in a browser would."""

    def __init__(self, kind: str, label: str, value: Any, options: tuple = (), visible: bool = True) -> None:
        self.kind, self.label, self._value, self._options, self.visible = kind, label, value, options, visible
        self.content, self.disabled, self.order = value, False, 1.0
        self.callbacks: list[Callable] = []

    def on_update(self, call: Callable) -> None:
        self.callbacks.append(call)

    on_click = on_update

    @property
    def value(self) -> Any:
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        self._value = value
        self._tell(None)

    @property
    def options(self) -> tuple:
        return self._options

    @options.setter
    def options(self, options: tuple) -> None:
        self._options = tuple(options)
        if self._value not in self._options:
            self._value = self._options[0]

    def by_hand(self, value: Any = None) -> None:
        """Change it, or click it."""
        if self.kind == "buttons" and value == self._value:
            return  # as viser does
        if value is not None:
            assert self.kind != "dropdown" or value in self.options, (value, self.options)
            self._value = value
        self._tell(object())

    def _tell(self, client: Any) -> None:
        for call in self.callbacks:
            call(SimpleNamespace(client=client, target=self))


class Gui:
    """Remember what was added, by its label."""

    def __init__(self) -> None:
        self.handles: list[Handle] = []

    def __getitem__(self, label: str) -> Handle:
        found = [handle for handle in self.handles if handle.label == label]
        return found[0] if len(found) == 1 else next(handle for handle in found if handle.visible)

    def said(self) -> str:
        """All texts that are shown."""
        return "\n".join(str(h.content) for h in self.handles if h.kind == "markdown" and h.visible)

    def _add(self, kind: str, label: str, value: Any, options: tuple = (), visible: bool = True) -> Handle:
        self.handles.append(Handle(kind, label, value, options, visible))
        return self.handles[-1]

    def add_folder(self, label: str, order: float | None = None, expand_by_default: bool = True) -> Any:
        return nullcontext()

    def add_text(self, label: str, initial_value: str, hint: str | None = None) -> Handle:
        return self._add("text", label, initial_value)

    def add_markdown(self, content: str, visible: bool = True) -> Handle:
        return self._add("markdown", "", content, visible=visible)

    def add_dropdown(self, label: str, options: Any, initial_value: Any = None, visible: bool = True) -> Handle:
        assert initial_value is None or initial_value in options
        return self._add("dropdown", label, initial_value or tuple(options)[0], tuple(options), visible)

    def add_button_group(self, label: str, options: Any, visible: bool = True) -> Handle:
        return self._add("buttons", "/".join(options), options[0], tuple(options), visible)

    def add_button(self, label: str, hint: str | None = None, visible: bool = True) -> Handle:
        return self._add("button", label, False, visible=visible)

    def add_checkbox(self, label: str, initial_value: bool, visible: bool = True) -> Handle:
        return self._add("checkbox", label, initial_value, visible=visible)

    def add_slider(
        self, label: str, least: Any, most: Any, step: Any, initial_value: Any, visible: bool = True, hint: str = ""
    ) -> Handle:
        assert least <= initial_value <= most
        return self._add("slider", label, initial_value, visible=visible)

    def add_progress_bar(self, value: float, visible: bool = True) -> Handle:
        return self._add("bar", "bar", value, visible=visible)


class Camera:
    """A camera that looks at the origin from the front."""

    def __init__(self, client: Any) -> None:
        self.client, self.aspect, self.fov = client, 1.25, 0.8
        self.position, self.look_at = np.array([0.0, -3.0, 0.0]), np.zeros(3)
        self.up_direction = np.array([0.0, 0.0, 1.0])
        self.wxyz = np.array([0.5**0.5, -(0.5**0.5), 0.0, 0.0])
        self.callbacks: list[Callable] = []

    def on_update(self, call: Callable) -> None:
        self.callbacks.append(call)


class Client:
    """A browser tab that remembers what it was sent."""

    def __init__(self) -> None:
        self.client_id, self.gui, self.camera, self.files = 3, Gui(), Camera(self), dict[str, bytes]()
        self.pictures: list[np.ndarray] = []
        self.scene = SimpleNamespace(set_background_image=lambda image, *_: self.pictures.append(image))

    def atomic(self) -> Any:
        return nullcontext()

    def flush(self) -> None:
        pass

    def send_file_download(self, name: str, content: bytes) -> None:
        self.files[name] = content
