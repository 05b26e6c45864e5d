"""Say where the viewer of a run in training can be opened, and who else can open it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.looking.viewer.address import HERE, is_private


def viewer_command(config: Path) -> list[str]:
    """Give the command for nerfstudio's viewer of a run, open to this machine alone: by default it is to all."""
    return ["ns-viewer", "--load-config", str(config), "--viewer.websocket-host", HERE]


def where_to_look(viewer: Any, vis: str) -> None:
    """Say where a viewer is, if there is one, and what it leaves out. Warn of an address that others can reach."""
    if viewer is None:
        return
    if vis in ("viewer", "viewer_legacy"):
        CONSOLE.print(f"With --vis {vis} no held-out view is scored before the end.")
    if not hasattr(viewer, "viewer_info"):  # the legacy viewer
        CONSOLE.print(f"Viewer: {viewer.viewer_url}", markup=False, soft_wrap=True)
        return
    host, port = viewer.config.websocket_host, viewer.viser_server.get_port()
    shared = [word for line in viewer.viewer_info for word in line.split() if word.startswith("https://")]
    CONSOLE.print(" or ".join([f"Viewer: http://localhost:{port}", *shared]), markup=False, soft_wrap=True)
    if not is_private(host):
        CONSOLE.print(
            f"It listens at {host}: anyone on that network can look, use this machine's time, save camera paths beside"
            " the data, and read your files (viser 0.2.7 gives them out). For this machine alone, leave out"
            " --viewer.websocket-host.",
            style="yellow",
            markup=False,
        )
