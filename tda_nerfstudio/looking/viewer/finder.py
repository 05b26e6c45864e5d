"""Finding a scene in the panel: search, sort, step through, and its card. No list of it is ever long."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, get_args

from tda_nerfstudio.base.errors import counted
from tda_nerfstudio.looking.shelf import Order, Shelf
from tda_nerfstudio.looking.viewer import words
from tda_nerfstudio.looking.viewer.buttons import add_buttons

if TYPE_CHECKING:
    from viser import GuiApi

LISTED = 30
"""Hits that a drop-down offers."""
NOTHING = "(nothing found)"
STEPS = ("Prev", "Next", "Any")


class Finder:
    """Choose one of a shelf's scenes; `chosen` is told the name."""

    def __init__(
        self,
        gui: GuiApi,
        shelf: Shelf,
        name: str,
        chosen: Callable[[str], None],
        what: str = "Scene",
        full: bool = True,
    ) -> None:
        self.shelf, self.name, self.chosen = shelf, name, chosen
        self.hits = shelf.find()
        self.search = gui.add_text(f"Find {what[0].lower()}{what[1:]}", "", hint="Words of its name")
        self.order = gui.add_dropdown("Sort by", get_args(Order), visible=full)
        self.count = gui.add_markdown("")
        self.list = gui.add_dropdown(what, self._offered(), initial_value=self._label(name))
        self.steps = add_buttons(gui, "", STEPS, self._step, visible=full)
        self.card = gui.add_markdown("", visible=full)
        self.search.on_update(lambda _: self._seek())
        self.order.on_update(lambda _: self._seek())
        self.list.on_update(lambda event: self._picked() if event.client is not None else None)
        self._tell()

    def _seek(self) -> None:
        """Look for the text; the first hit is chosen unless the scene is among them."""
        self.hits = self.shelf.find(self.search.value, self.order.value)
        self.choose(self.name if self.name in self.hits or not self.hits else self.hits[0])

    def refresh(self) -> None:
        """Look again: the shelf may hold other scenes now."""
        self._seek()

    def _picked(self) -> None:
        self.choose(self._labels().get(self.list.value, self.name))

    def _step(self, way: str) -> None:
        if not self.hits:
            return
        at = self.hits.index(self.name) if self.name in self.hits else -1
        to = random.randrange(len(self.hits)) if way == "Any" else at + (1 if way == "Next" else -1)
        self.choose(self.hits[to % len(self.hits)])

    def choose(self, name: str) -> None:
        """Show a scene, and those around it in the drop-down."""
        if name != self.name:
            self.name = name
            self.chosen(name)
        offered, label = self._offered(), self._label(name)
        if offered != self.list.options:
            self.list.options = offered
        if label in offered and self.list.value != label:
            self.list.value = label
        self._tell()

    def _window(self) -> list[str]:
        """Take the hits around the scene."""
        at = self.hits.index(self.name) if self.name in self.hits else 0
        first = min(max(at - LISTED // 2, 0), max(len(self.hits) - LISTED, 0))
        return self.hits[first : first + LISTED]

    def _offered(self) -> tuple[str, ...]:
        return tuple(self._labels()) or (NOTHING,)

    def _labels(self) -> dict[str, str]:
        return {self._label(name): name for name in self._window()}

    def _label(self, name: str) -> str:
        return name if self.shelf.is_learnt(name) else f"{name} (put aside)"

    def _tell(self) -> None:
        total = len(self.shelf.names)
        place = f"{self.hits.index(self.name) + 1} of " if self.name in self.hits else ""
        self.count.content = f"{place}{counted(len(self.hits), 'hit')}, {counted(total, 'scene')} in all"
        self.card.content = words.card(self.name, self.shelf.card(self.name))
