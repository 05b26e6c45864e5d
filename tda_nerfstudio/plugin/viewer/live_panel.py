"""The viewer's folder that shows how training goes: a held-out view of the active scene, and curves."""

from __future__ import annotations

import atexit
import threading
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from nerfstudio.viewer.viewer_elements import ViewerControl

from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.learning.live import Live, Sight
from tda_nerfstudio.plugin.viewer.drawing import as_markdown, curves, pictures

if TYPE_CHECKING:
    from nerfstudio.viewer.viewer import Viewer

POLL, REST, SHARE = 0.25, 3.0, 50
"""Seconds between looks at what changed, least seconds between updates, and how many times as long as an update takes
is waited after it: training gives up 2 % of its time at most."""
CAPTIONS = {
    "truth": "truth",
    "encoded": "encoded latent",
    "rendered": "rendered latent",
    "decoded": "decoded",
    "started": "autoencoder at the start",
    "reconstructed": "autoencoder now",
}
STRIP = ("truth", "encoded", "rendered", "decoded")


def panel_rows(sight: Sight) -> list[dict]:
    """Sort what is seen into rows of pictures by caption: the scene's, and the autoencoder's own."""

    def caption(name: str) -> str:
        words = "autoencoder alone" if name == "reconstructed" and "started" not in sight.images else CAPTIONS[name]
        score = sight.psnr.get(name)
        exact = score is not None and score > 99
        return words if score is None else f"{words}, {'exact' if exact else f'{score:.1f} dB'}"

    names = [[name for name in STRIP if name in sight.images]]
    names.append([name for name in ("started", "reconstructed") if name in sight.images])
    return [{caption(name): sight.images[name] for name in row} for row in names if row]


class LivePanel(ViewerControl):
    """Draw what `Live` sees into a folder of nerfstudio's viewer, for all browsers that are connected.

    A thread of its own draws, so that training never waits for it longer than for a look at one view, and errors end
    nothing. Without a browser it looks at nothing.
    """

    def __init__(self, live: Live) -> None:
        self.live = live
        self._leaving = threading.Event()
        self._thread: threading.Thread | None = None
        self._shown: tuple[str, int] | None = None
        self._rest_until = 0.0
        self._complaint: str | None = None

    def _setup(self, viewer: Viewer) -> None:
        super()._setup(viewer)
        gui, training = viewer.viser_server.gui, viewer.trainer is not None
        above = viewer.stats_markdown.order + 0.5  # below the buttons, above the tabs
        with gui.add_folder("Live", order=above, expand_by_default=training):
            self._title = gui.add_markdown("_The first look is on its way._")
            self._pictures = gui.add_markdown("")
            self._losses = gui.add_markdown("", visible=training)
            self._shares = gui.add_markdown("", visible=training)
        self._thread = threading.Thread(target=self._watch, name="live panel", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def stop(self, patience: float = 10.0) -> None:
        """End the thread: one that computes while Python ends would crash the process. Wait `patience` seconds."""
        self._leaving.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(patience)
        atexit.unregister(self.stop)

    def _watch(self) -> None:
        while not self._leaving.wait(POLL):
            try:
                self._update()
            except Exception as error:  # whatever it is, training and viewer go on
                self._rest_until = time.monotonic() + 10 * REST
                self._complain(error)

    def _complain(self, error: Exception) -> None:
        """Print a reason once."""
        said = f"{type(error).__name__}: {error}"
        if said != self._complaint and not self._leaving.is_set():
            self._complaint = said
            CONSOLE.print(f"The viewer's live panel cannot be drawn. {said}", style="yellow", markup=False)

    def _update(self) -> None:
        """Look and draw if a browser is connected, and another scene was chosen or it is time again."""
        if not self.viser_server.get_clients():
            return
        now = (self.live.scene(), self.live.step)
        chosen = self._shown is not None and now[0] != self._shown[0]
        if now == self._shown or (not chosen and time.monotonic() < self._rest_until):
            return
        with self.viewer.train_lock or nullcontext():
            began = time.monotonic()
            sight = self.live.look()
            lasted = time.monotonic() - began
        self._shown = (sight.scene, sight.step)
        self._draw(sight)
        self._rest_until = time.monotonic() + max(REST, SHARE * lasted)

    def _draw(self, sight: Sight) -> None:
        which = "held-out" if sight.held_out else "training"
        losses = curves("losses, weighted", self.live.losses(), logarithmic=True)
        shares = curves("latents' share of high frequencies", self.live.shares(sight.scene))
        with self.viser_server.atomic():
            self._title.content = f"{_plain(sight.scene)}, {which} view {_plain(sight.label)}, step {sight.step}"
            self._pictures.content = as_markdown(pictures(panel_rows(sight)))
            self._losses.content = as_markdown(losses)
            self._shares.content = as_markdown(shares)


def _plain(name: str) -> str:
    """Keep markdown from reading signs of a name."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]()#+-.!|<>~$" else sign for sign in name)
