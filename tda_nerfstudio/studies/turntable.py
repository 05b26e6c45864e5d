"""A video of a full turn around a scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from tda_nerfstudio.core.cameras import View, orbit
from tda_nerfstudio.plugin.open_run import open_run
from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline
from tda_nerfstudio.studies.pictures import as_picture


def turntable_cameras(pipeline: TdaPipeline, frames: int, elevation: float, size: tuple[int, int]) -> View:
    """Place cameras around the box' centre as far away as the training cameras are, at their field of view."""
    manager = pipeline.datamanager
    box = pipeline.model.field.scenes.box.cpu()
    centre = box.mean(0)
    distance = float((manager.train_store.c2w[:, :, 3] - centre).norm(dim=-1).median())
    focal = float(manager.train_store.fx.median()) * size[0] / manager.atlas.width
    return orbit(frames, distance, elevation, focal, size, centre)


def render_turntable(
    load_config: Path,
    scene: str | None,
    output: Path,
    frames: int = 96,
    fps: int = 24,
    elevation: float = 18.0,
    size: int | None = None,
    names: tuple[str, ...] = ("rgb",),
) -> Path:
    """Write an mp4 of a full turn (of every scene in turn for 'all'), outputs side by side; return its path.

    Raises TdaError for an unknown scene.
    """
    import imageio.v2 as imageio
    from nerfstudio.cameras.cameras import Cameras
    from rich.progress import track

    pipeline = open_run(load_config)
    manager = pipeline.datamanager
    width, height = (size, size) if size else (manager.atlas.width, manager.atlas.height)
    view = turntable_cameras(pipeline, frames, elevation, (width, height))
    shown = manager.scene_names if scene == "all" else [scene]
    output.parent.mkdir(parents=True, exist_ok=True)
    with imageio.get_writer(output, fps=fps, macro_block_size=2, quality=8) as video:
        for name in shown:
            pipeline.select_scene(name)
            for i in track(range(frames), description=f"Rendering {manager.active_scene}", transient=True):
                camera = Cameras(*(part[i : i + 1] for part in view), width=width, height=height)
                outputs = pipeline.model.get_outputs_for_camera(camera)
                video.append_data(frame_of(outputs, names))  # type: ignore[attr-defined]
    return output


def frame_of(outputs: dict[str, torch.Tensor], names: tuple[str, ...]) -> UInt8[np.ndarray, "height width 3"]:
    """Put outputs side by side as one picture."""
    return np.concatenate([as_picture(name, outputs[name]) for name in names], axis=1)
