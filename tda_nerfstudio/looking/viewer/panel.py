"""The controls of one browser tab. They change its look, which is plain data, and say so."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tda_nerfstudio.looking.look import ALL_OUTPUTS, COMPONENTS, OF_TRUTH, Look
from tda_nerfstudio.looking.shelf import Shelf
from tda_nerfstudio.looking.viewer import words
from tda_nerfstudio.looking.viewer.finder import Finder
from tda_nerfstudio.looking.viewer.taking import Taking

if TYPE_CHECKING:
    from viser import ClientHandle

LABELS = {"alone": "one scene", "beside": "A beside B", "wipe": "A | B in one picture", "truth": "A beside its image"}
KINDS = {"all": "micro and macro", "micro": "micro alone", "macro": "macro alone"}
OUTPUTS = {
    "rgb": "decoded image",
    "truth": "nearest image",
    "error": "absolute error",
    "autoencoder": "autoencoder alone",
}
SIZES = (256, 1024)
"""Longest side of a picture in pixels, from and to."""
TURN = 30.0
"""Degrees a second of the turntable."""


class Panel:
    """A tab's controls. `changed` is called after every change of `look`."""

    def __init__(
        self,
        client: ClientHandle,
        shelf: Shelf,
        changed: Callable[[], None],
        name: str | None = None,
        scale: float | None = None,
        order: float | None = None,
    ) -> None:
        """Build the controls. `name` is the first scene.

        In a viewer that is not ours, `scale` says how many of its units a world unit has, and `order` below which of
        its controls these are; its own controls choose the size of pictures and turn the camera.
        """
        self.client, self.shelf, self._changed = client, shelf, changed
        self.scale, self.ours = scale or 1.0, scale is None
        names = shelf.names
        self.look = Look(name or names[0])
        self.longest, self.turning, self._stepped = 512, False, time.monotonic()
        gui = client.gui

        def folder(place: int, label: str, open_: bool = True) -> Any:
            return gui.add_folder(label, None if order is None else order + place / 10, expand_by_default=open_)

        self.status = gui.add_markdown("", visible=self.ours)
        with folder(1, "Scene"):
            self.finder = Finder(gui, shelf, self.look.scene, lambda name: self.set(scene=name))
        with folder(2, "Show"):
            self._show(gui)
        with folder(3, "Compare and blend", False):
            self._compare(gui, names)
        if len(shelf.source.parts.scenes.base):
            with folder(4, "Shape", False):
                self._shape(gui)
        with folder(5, "Camera and files", False):
            self._camera(gui)

    def set(self, **changes: Any) -> None:
        """Change the look."""
        self.look = replace(self.look, **changes)
        self._changed()

    def told(self, quick: float, full: float) -> None:
        """Say how long pictures took, in seconds."""
        aspect = self.client.camera.aspect or 1.0
        sides = (self.longest, self.longest / aspect) if aspect >= 1 else (self.longest * aspect, self.longest)
        self.status.content = words.spent(quick, full, *map(round, sides))

    def step(self) -> float:
        """Give the degrees that the turntable has turned since the last call."""
        now, before = time.monotonic(), self._stepped
        self._stepped = now
        return min(now - before, 0.2) * TURN

    def _show(self, gui: Any) -> None:
        there = [name for name in ALL_OUTPUTS if self.shelf.truth is not None or name not in OF_TRUTH]
        labels = {OUTPUTS.get(name, name): name for name in there}
        channels = self.shelf.source.parts.scenes.channels
        output = gui.add_dropdown("Output", tuple(labels))
        channel = gui.add_slider("Channel", 0, max(channels, 1), 1, 0, visible=False, hint="0 shows all in one palette")
        parts = gui.add_dropdown("Planes", tuple(KINDS.values()))
        size = gui.add_slider("Longest side", *SIZES, 64, self.longest, visible=self.ours)

        def shown(_: Any) -> None:
            channel.visible = labels[output.value] == "latent"
            kind = next(key for key, label in KINDS.items() if label == parts.value)
            self.set(output=labels[output.value], channel=int(channel.value) - 1 if channel.value else None, parts=kind)

        def sized(_: Any) -> None:
            self.longest = int(size.value)
            self._changed()

        for one in (output, channel, parts):
            one.on_update(shown)
        size.on_update(sized)

    def _compare(self, gui: Any, names: list[str]) -> None:
        other = names[1] if len(names) > 1 else names[0]
        offered = {label: key for key, label in LABELS.items() if key != "truth" or self.shelf.truth is not None}
        mode = gui.add_dropdown("Picture", tuple(offered))
        self.other = Finder(gui, self.shelf, other, lambda name: self.set(other=name), "Scene B", full=False)
        here = gui.add_button("Take the scene that is shown as B")
        split = gui.add_slider("Line", 0.0, 1.0, 0.01, 0.5, visible=False)
        share = gui.add_slider("Blend A to B", 0.0, 1.0, 0.02, 0.0)
        self.look = replace(self.look, other=other)

        def compared(_: Any) -> None:
            chosen = offered[mode.value]
            split.visible = chosen == "wipe"
            self.set(mode=chosen, split=float(split.value), share=float(share.value))

        for one in (mode, split, share):
            one.on_update(compared)
        here.on_click(lambda _: self.other.choose(self.look.scene))

    def _shape(self, gui: Any) -> None:
        """Sliders along the class' principal components, which are found when somebody asks for them."""
        ask = gui.add_button("Find what varies most", hint="Reads the weights of up to 128 scenes")
        sliders = [gui.add_slider(f"Component {k + 1}", -3.0, 3.0, 0.1, 0.0, visible=False) for k in range(COMPONENTS)]
        notes = gui.add_markdown("")
        back = gui.add_button("Back to the scene's own", visible=False)

        def found(_: Any) -> None:
            ask.disabled = True
            components = self.shelf.components
            rows = [words.component(k + 1, one) for k, one in enumerate(components)]
            notes.content = "  \n".join(rows) or "The weights of these scenes do not vary."
            for slider, _one in zip(sliders, components, strict=False):
                slider.visible = True
            back.visible, ask.visible = bool(components), False

        def moved(_: Any) -> None:
            self.set(components=tuple(round(float(slider.value), 2) for slider in sliders))

        def reset(_: Any) -> None:
            for slider in sliders:
                slider.value = 0.0

        ask.on_click(found)
        back.on_click(reset)
        for slider in sliders:
            slider.on_update(moved)

    def _camera(self, gui: Any) -> None:
        from tda_nerfstudio.looking.viewer import camera

        turning = gui.add_checkbox("Turn", False, visible=self.ours)
        again = gui.add_button("Back to the first view")

        def turn(_: Any) -> None:
            self.turning, self._stepped = bool(turning.value), time.monotonic()
            self._changed()

        turning.on_update(turn)
        again.on_click(lambda _: camera.start(self.client, self.shelf.source, self.scale))
        Taking(self.client, self.shelf, lambda: self.look, self.scale)
