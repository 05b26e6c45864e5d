"""What one browser tab shows: a thread that paints while the camera moves, and once more when it rests."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.looking.lettering import message
from tda_nerfstudio.looking.painting import paint
from tda_nerfstudio.looking.shelf import Shelf
from tda_nerfstudio.looking.viewer import camera
from tda_nerfstudio.looking.viewer.panel import Panel

if TYPE_CHECKING:
    from viser import ClientHandle

REST = 0.12
"""Seconds without a movement after which the camera rests."""
QUALITY = {True: 60, False: 92}
"""Of JPEGs, of quick pictures and of those at rest."""


class Tab(threading.Thread):
    """Serve one client until it leaves. An error is said in the panel, and the next picture is tried all the same."""

    def __init__(self, client: ClientHandle, shelf: Shelf) -> None:
        super().__init__(name=f"tab {client.client_id}", daemon=True)
        self.client, self.shelf = client, shelf
        self._wake, self._moved, self._open = threading.Event(), time.monotonic(), True

    def run(self) -> None:
        """Set the tab up, and paint until it is closed. What fails because it has just been closed is no error."""
        try:
            self._serve()
        except Exception:
            if self._open:
                raise

    def _serve(self) -> None:
        camera.start(self.client, self.shelf.source)
        panel = Panel(self.client, self.shelf, self.changed)
        self.client.camera.on_update(lambda _: self.changed())
        seconds, drawn = {True: 0.0, False: 0.0}, dict[bool, tuple]()
        while self._open:
            if panel.turning:
                camera.turn(self.client.camera, panel.step())
                self.changed()
            quick = time.monotonic() - self._moved < REST
            asked = (self._moved, panel.look, panel.longest)
            if drawn.get(quick) == asked:
                self._wake.wait(REST / 2 if quick else None)
                self._wake.clear()
                continue
            drawn[quick], seconds[quick] = asked, self._draw(panel, quick)
            panel.told(seconds[True], seconds[False])

    def changed(self) -> None:
        """Paint anew: the camera has moved, or the look has changed."""
        self._moved = time.monotonic()
        self._wake.set()

    def close(self, patience: float = 10.0) -> None:
        """End the thread, and wait for it."""
        self._open = False
        self._wake.set()
        if threading.current_thread() is not self and self.is_alive():
            self.join(patience)

    def _draw(self, panel: Panel, quick: bool) -> float:
        """Paint and send one picture; return the seconds that it took."""
        began = time.monotonic()
        view = camera.read(self.client.camera, panel.longest)
        try:
            shown = paint(self.shelf, panel.look, view, quick)
        except Exception as error:  # noqa: BLE001  the tab must go on, whatever went wrong
            words = str(error) if isinstance(error, TdaError) else f"{type(error).__name__}: {error}"
            shown = message(f"This cannot be shown. {words}", view.width or 1, view.height or 1)
        self.client.scene.set_background_image(shown, "jpeg", QUALITY[quick])
        self.client.flush()
        return time.monotonic() - began
