"""A video of a full turn around a scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from tda_nerfstudio.core.cameras import orbit
from tda_nerfstudio.plugin.open_run import open_run
from tda_nerfstudio.plugin.stored_pipeline import StoredPipeline
from tda_nerfstudio.plugin.storing import shots
from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline
from tda_nerfstudio.store.shared_parts import Shots, is_store
from tda_nerfstudio.store.store import Store
from tda_nerfstudio.studies.pictures import as_picture


def open_source(source: Path) -> tuple[TdaPipeline | StoredPipeline, Shots]:
    """Open a store or a run, and say how the images of its scenes were taken."""
    if is_store(source):
        store = Store(source)
        return StoredPipeline(store), store.manifest.shots
    pipeline = open_run(source)
    return pipeline, shots(pipeline.model, pipeline.datamanager)


def render_turntable(
    source: Path,
    scene: str | None,
    output: Path,
    frames: int = 96,
    fps: int = 24,
    elevation: float = 18.0,
    size: int | None = None,
    names: tuple[str, ...] = ("rgb",),
) -> Path:
    """Write an mp4 of a full turn (of every scene in turn for 'all'), outputs side by side; return its path.

    The source is a store or a run. Cameras are as far away as those that images were taken by. Raises TdaError for an
    unknown scene.
    """
    import imageio.v2 as imageio
    from nerfstudio.cameras.cameras import Cameras
    from rich.markup import escape
    from rich.progress import track

    pipeline, taken = open_source(source)
    manager = pipeline.datamanager
    width, height = (size, size) if size else (taken.width, taken.height)
    centre = pipeline.model.field.scenes.box.cpu().mean(0)
    view = orbit(frames, taken.distance, elevation, taken.focal * width / taken.width, (width, height), centre)
    shown = manager.scene_names if scene == "all" else [scene]
    output.parent.mkdir(parents=True, exist_ok=True)
    with imageio.get_writer(output, fps=fps, macro_block_size=2, quality=8) as video:
        for name in shown:
            pipeline.select_scene(name)
            for i in track(range(frames), description=escape(f"Rendering {manager.active_scene}"), transient=True):
                camera = Cameras(*(part[i : i + 1] for part in view), width=width, height=height)
                outputs = pipeline.model.get_outputs_for_camera(camera)
                video.append_data(frame_of(outputs, names))  # type: ignore[attr-defined]
    return output


def frame_of(outputs: dict[str, torch.Tensor], names: tuple[str, ...]) -> UInt8[np.ndarray, "height width 3"]:
    """Put outputs side by side as one picture."""
    return np.concatenate([as_picture(name, outputs[name]) for name in names], axis=1)
