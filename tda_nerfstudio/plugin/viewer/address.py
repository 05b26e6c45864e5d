"""Say where the viewer of a run in training can be opened, and who else can open it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tda_nerfstudio.base.terminal import CONSOLE

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Addresses that only this machine can reach."""


def viewer_command(config: Path) -> list[str]:
    """Give the command for nerfstudio's viewer of a run, open to this machine alone: by default it is to all."""
    return ["ns-viewer", "--load-config", str(config), "--viewer.websocket-host", LOOPBACK[0]]


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
    warn_of_network(host, "beside the data", "--viewer.websocket-host")


def warn_of_network(host: str, kept: str, option: str) -> None:
    """Warn of an address that others can reach: say where camera paths are `kept`, and which option to leave out."""
    if host not in LOOPBACK:
        CONSOLE.print(
            f"It listens at {host}: anyone on that network can look, use this machine's time and save camera paths"
            f" {kept}. For this machine alone, leave out {option}.",
            style="yellow",
            markup=False,
        )
