"""nerfstudio's viewer over a store."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from nerfstudio.configs.base_config import ViewerConfig
from nerfstudio.engine.trainer import TrainerConfig
from nerfstudio.scripts.viewer.run_viewer import _start_viewer

from tda_nerfstudio.plugin.stored_pipeline import StoredPipeline
from tda_nerfstudio.store.store import Store


def view_store(folder: Path, port: int | None, host: str) -> None:
    """Serve a store's scenes to browsers until interrupted. Raises StoreError for what is no store with scenes."""
    pipeline = StoredPipeline(Store(folder), "cuda" if torch.cuda.is_available() else "cpu")
    viewer = ViewerConfig(num_rays_per_chunk=1 << 15, websocket_port=port, websocket_host=host)
    with TemporaryDirectory() as logs:
        config = TrainerConfig(
            method_name="store", experiment_name=folder.name, output_dir=Path(logs), vis="viewer", viewer=viewer
        )
        config.get_base_dir().mkdir(parents=True)
        try:
            _start_viewer(config, pipeline, 0)
        except KeyboardInterrupt:
            print("The viewer is closed.")
