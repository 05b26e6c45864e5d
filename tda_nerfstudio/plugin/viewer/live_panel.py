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
from tda_nerfstudio.plugin.viewer.drawing import Picture, as_markdown, draw_curves, draw_pictures

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
    "started": "autoencoder: start",
    "reconstructed": "autoencoder: now",
}
"""What pictures are called, in the order in which they are shown."""


def panel_pictures(sight: Sight) -> list[Picture]:
    """Choose the pictures of what is seen, with the PSNR of those that are compared with the truth."""
    captions = CAPTIONS if "started" in sight.images else CAPTIONS | {"reconstructed": "autoencoder alone"}
    notes = {name: "exact" if psnr > 99 else f"{psnr:.1f} dB" for name, psnr in sight.psnr.items()}
    return [
        Picture(caption, sight.images[name], notes.get(name, ""))
        for name, caption in captions.items()
        if name in sight.images
    ]


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
        self._rest_until = self._lasted = 0.0
        self._complaint: str | None = None

    def _setup(self, viewer: Viewer) -> None:
        super()._setup(viewer)
        gui, training = viewer.viser_server.gui, viewer.trainer is not None
        above = viewer.stats_markdown.order + 0.6  # below the controls of scenes, above the tabs
        label = "Live" if training else "Beside the truth"
        with gui.add_folder(label, order=above, expand_by_default=training):
            self._pictures = gui.add_markdown("The first look is on its way.")
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
        usual = min(lasted, self._lasted)  # the first look builds and reads what later ones have
        self._lasted, self._rest_until = lasted, time.monotonic() + max(REST, SHARE * usual)

    def _draw(self, sight: Sight) -> None:
        which = "held-out" if sight.held_out else "training"
        titles = [f"Step {sight.step}: {sight.scene}", f"{which} view {sight.label}, around the object"]
        drawn = (
            (self._pictures, draw_pictures(titles, panel_pictures(sight))),
            (self._losses, draw_curves("Weighted losses", self.live.losses(), logarithmic=True)),
            (self._shares, draw_curves("High frequencies of latents", self.live.shares(sight.scene))),
        )
        with self.viser_server.atomic():
            for element, svg in drawn:
                element.content = as_markdown(svg, "live")
