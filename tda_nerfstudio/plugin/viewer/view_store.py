"""Serve nerfstudio's viewer over a store."""

from __future__ import annotations

import shlex
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from nerfstudio.configs.base_config import LoggingConfig, ViewerConfig
from nerfstudio.utils import writer

from tda_nerfstudio.base.atomic import require_writable
from tda_nerfstudio.base.errors import TdaError, counted
from tda_nerfstudio.base.terminal import CONSOLE, hushed
from tda_nerfstudio.plugin.config_file import is_config
from tda_nerfstudio.plugin.stored_pipeline import StoredPipeline, store_of
from tda_nerfstudio.plugin.viewer.address import LOOPBACK, viewer_command, warn_of_network
from tda_nerfstudio.plugin.viewer.store_viewer import StoreViewer
from tda_nerfstudio.store.store import Store

EVERYWHERE = ("0.0.0.0", "::")


def view_store(source: Path, port: int | None, host: str) -> None:
    """Serve a store's scenes, or those of a run's store, to browsers until interrupted.

    Raises TdaError for what has no scenes to show. For a run without a store it has the command that shows the run.
    """
    store = Store(find_store(source))
    check_address(host, port)
    pipeline = StoredPipeline(store)
    with ExitStack() as stack:
        viewer = start_viewer(pipeline, port, host, _place(stack))
        shown_at = "localhost" if host in EVERYWHERE else f"[{host}]" if ":" in host else host
        print(
            f"Store {store.folder}, {counted(len(store), 'scene')}: look at http://{shown_at}:{viewer.viser_server.get_port()}"
            " (Ctrl-C closes the viewer).",
            flush=True,
        )
        warn_of_network(host, "here", "--host")
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            print("The viewer is closed.")


def find_store(source: Path) -> Path:
    """Find the store that a path stands for. Raises TdaError for a run without one, with the command that shows it."""
    if not source.exists():
        raise TdaError(f"{source} does not exist. Give the folder of a store, or of a run of tda-scenes.")
    folder = store_of(source)
    if folder is None and source.is_file() and not is_config(source):
        raise TdaError(f"{source} is neither a store nor a run's config.yml. Give the folder of a store or of a run.")
    config = source if source.is_file() else source / "config.yml"
    if folder is None and config.is_file():
        line = shlex.join(viewer_command(config))
        raise TdaError(f"The run {config.parent} has no store: those of tda-scenes have one. Look at it with\n  {line}")
    return folder or source


def check_address(host: str, port: int | None) -> None:
    """Raise TdaError unless a server can listen there: else the viewer's own server would wait for ever."""
    if port is not None and not 1 <= port <= 65535:
        raise TdaError(f"--port must be from 1 to 65535, not {port}. Without it a free one is found.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        where = f"--host {host}" if port is None else f"--host {host} --port {port}"
        raise TdaError(
            f"Nothing can listen at {where} ({error}). Give an address of this machine, such as {LOOPBACK[0]}, and a"
            " port that is free; without --port one is found."
        ) from None


def start_viewer(pipeline: StoredPipeline, port: int | None, host: str, folder: Path) -> StoreViewer:
    """Start to serve. Camera paths go to `folder`/camera_paths."""
    config = ViewerConfig(num_rays_per_chunk=1 << 15, websocket_port=port, websocket_host=host)
    with hushed():  # it would print three forms of the address, of which some do not work
        viewer = StoreViewer(pipeline, config, folder)
        logging = LoggingConfig()
        logging.local_writer.enable = False
        writer.setup_local_writer(logging, max_iter=0)  # the viewer measures by it how fast it may draw
    manager = pipeline.datamanager
    viewer.init_scene(manager.train_dataset, "completed", manager.eval_dataset)
    return viewer


def _place(stack: ExitStack) -> Path:
    """Choose the folder of camera paths: this one, or a temporary one where nothing can be written here."""
    try:
        require_writable(Path.cwd())
    except TdaError as error:
        CONSOLE.print(f"Camera paths are lost when the viewer closes. {error}", style="yellow", markup=False)
        return Path(stack.enter_context(TemporaryDirectory()))
    return Path.cwd()
