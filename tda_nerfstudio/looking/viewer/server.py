"""The viewer's server: a tab for each browser that comes, until somebody stops it."""

from __future__ import annotations

import threading
import time
import webbrowser
from typing import TYPE_CHECKING

from tda_nerfstudio.base.errors import TdaError, counted
from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.looking.shelf import Shelf
from tda_nerfstudio.looking.viewer.address import HERE, browser_address, free_port, is_private
from tda_nerfstudio.looking.viewer.tab import Tab

if TYPE_CHECKING:
    from viser import ClientHandle, ViserServer


class Viewer:
    """Serve a shelf's scenes. `close` ends the server and the threads of all tabs."""

    def __init__(self, shelf: Shelf, port: int | None = None, host: str = HERE) -> None:
        """Raise TdaError for a shelf without scenes and for an address where nothing can listen."""
        if not shelf.names:
            raise TdaError(
                f"{shelf.source.title} holds no scenes yet. Learn some: ns-train tda-scenes --pipeline.store ..."
            )
        number = free_port(host, port)
        _ = shelf.source.parts  # what is damaged is said before a browser comes
        from tda_nerfstudio.looking.viewer.pages import start_server

        self.shelf, self.tabs, self._lock = shelf, dict[int, Tab](), threading.Lock()
        self.server: ViserServer = start_server(host, number, shelf.source.title)
        self.server.gui.configure_theme(control_layout="collapsible", show_logo=False, show_share_button=False)
        self.server.gui.set_panel_label(f"{shelf.source.title}: {counted(len(shelf.names), 'scene')}")
        self.host, self.port = host, self.server.get_port()
        self.server.on_client_connect(self._come)
        self.server.on_client_disconnect(self._gone)

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return browser_address(self.host, self.port)

    def _come(self, client: ClientHandle) -> None:
        with self._lock:
            tab = self.tabs[client.client_id] = Tab(client, self.shelf)
        tab.start()

    def _gone(self, client: ClientHandle) -> None:
        with self._lock:
            tab = self.tabs.pop(client.client_id, None)
        if tab is not None:
            tab.close()

    def close(self) -> None:
        """End all tabs and the server. A thread that computes while Python ends would crash the process."""
        with self._lock:
            tabs = list(self.tabs.values())
            self.tabs.clear()
        for tab in tabs:
            tab.close()
        self.server.stop()


def serve(shelf: Shelf, port: int | None = None, host: str = HERE, open_browser: bool = False) -> None:
    """Serve a shelf's scenes until interrupted. Raises as `Viewer` does."""
    viewer = Viewer(shelf, port, host)
    try:
        if port not in (None, viewer.port):
            CONSOLE.print(f"Port {port} is taken.", style="yellow", markup=False)
        if not is_private(host):
            CONSOLE.print(
                f"It listens at {host}: anyone on that network can look, and use this machine's time. For this machine"
                " alone, leave out --host.",
                style="yellow",
                markup=False,
            )
        print(
            f"{shelf.source.title}, {counted(len(shelf.names), 'scene')} (Ctrl-C closes the viewer):\n{viewer.address}",
            flush=True,
        )
        if open_browser:
            webbrowser.open(viewer.address)
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print("The viewer is closed.")
    finally:
        viewer.close()
