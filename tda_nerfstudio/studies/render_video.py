"""Videos of scenes: a full turn around them, or a camera path that was drawn in the viewer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tda_nerfstudio.base.errors import StoreError, TdaError, suggest
from tda_nerfstudio.base.progress import track
from tda_nerfstudio.core.cameras import View, orbit
from tda_nerfstudio.core.showing import OUTPUTS
from tda_nerfstudio.core.view import image_size
from tda_nerfstudio.plugin.config_file import is_config
from tda_nerfstudio.plugin.open_run import open_run
from tda_nerfstudio.plugin.stored_pipeline import StoredPipeline, store_of
from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline
from tda_nerfstudio.store.manifest import DefaultCamera
from tda_nerfstudio.store.shared_parts import is_store
from tda_nerfstudio.store.store import Store
from tda_nerfstudio.studies.outputs import VIDEOS, as_picture, require_counts, require_output

FPS = 24


def open_source(source: Path) -> tuple[TdaPipeline | StoredPipeline, DefaultCamera]:
    """Open a store, a run's store, or a run that has none; say how the images of its scenes were taken.

    Raises TdaError for what is neither.
    """
    folder = store_of(source)
    store = None if folder is None else Store(folder)
    if store is not None and (len(store) or is_store(source)):
        return StoredPipeline(store), store.manifest.camera
    if not source.exists():
        raise TdaError(f"{source} does not exist. Give the folder of a store or of a run.")
    if not (is_config(source) or is_config(source / "config.yml")):
        raise TdaError(f"{source} is neither a store nor a run. Give a folder with a manifest.json or a config.yml.")
    pipeline = open_run(source)
    return pipeline, pipeline.datamanager.views.usual_camera(pipeline.model.field.scenes.box)


def render_video(
    source: Path,
    scene: str | None,
    output: Path,
    frames: int = 96,
    fps: int | None = None,
    elevation: float = 18.0,
    size: int | None = None,
    names: tuple[str, ...] = ("rgb",),
    camera_path: Path | None = None,
) -> Path:
    """Write a video of a scene (of every scene in turn for 'all'), outputs side by side; return its path.

    The source is a store or a run. Without a camera path it is a full turn, as far away as the cameras that images were
    taken by. Scenes that are damaged are left out of 'all' and named. Raises TdaError for what cannot be shown.
    """
    import imageio.v2 as imageio
    from nerfstudio.cameras.cameras import Cameras

    from tda_nerfstudio.base.terminal import CONSOLE

    _check(output, frames, fps, size, names, elevation)
    drawn = None if camera_path is None else read_camera_path(camera_path)
    pipeline, taken = open_source(source)
    manager = pipeline.datamanager
    if drawn is not None:
        view, own_fps = drawn
    else:
        centre, sides = pipeline.model.field.scenes.box.cpu().mean(0), (taken.width, taken.height)
        view, own_fps = orbit(frames, taken.distance, elevation, taken.focal, sides, centre), FPS
    view = view.resized(*image_size(size)) if size else view
    shown = manager.scene_names if scene == "all" else [scene]
    if scene != "all":
        pipeline.select_scene(scene)  # before a file is made

    def pictures() -> Iterator[np.ndarray]:
        for name in shown:
            try:
                pipeline.select_scene(name)
            except StoreError as error:
                if len(shown) == 1:
                    raise
                CONSOLE.print(f"Left out: {error}", style="yellow", markup=False, soft_wrap=True)
                continue
            for i in track(range(len(view)), f"Rendering {manager.active_scene}"):
                camera = Cameras(*view[i : i + 1], width=view.width, height=view.height)
                outputs = pipeline.model.get_outputs_for_camera(camera)
                yield np.concatenate([as_picture(name, outputs[name]) for name in names], axis=1)

    output.parent.mkdir(parents=True, exist_ok=True)
    with imageio.get_writer(output, fps=fps or own_fps, macro_block_size=2, quality=8) as video:
        for picture in pictures():
            video.append_data(picture)  # type: ignore[attr-defined]
    return output


def read_camera_path(path: Path) -> tuple[View, int]:
    """Read a camera path of nerfstudio's render tab and its frames a second. Raises TdaError for anything else."""
    from nerfstudio.cameras.camera_paths import get_path_from_json
    from nerfstudio.cameras.cameras import CameraType

    try:
        content: dict[str, Any] = json.loads(path.read_text())
        width, height = image_size((content["render_width"], content["render_height"]))
        cameras, fps = get_path_from_json(content), round(content.get("fps") or FPS)
        parts = (cameras.camera_to_worlds, *(getattr(cameras, name)[:, 0] for name in ("fx", "fy", "cx", "cy")))
        view = View(*(part.float() for part in parts), width=width, height=height)
        if not all(part.isfinite().all() for part in view) or fps < 1:
            raise ValueError("its numbers are not all finite")
    except FileNotFoundError:
        raise TdaError(f"The camera path {path} does not exist. Save one in the viewer's Render tab.") from None
    except Exception as error:
        raise TdaError(
            f"{path} cannot be read as a camera path ({type(error).__name__}: {str(error)[:100]}). Save one in the"
            " viewer's Render tab: Generate Command."
        ) from error
    if (cameras.camera_type != CameraType.PERSPECTIVE.value).any():
        raise TdaError(f"{path} is of the type {content['camera_type']}. Scenes are shown through Perspective cameras.")
    return view, fps


def _check(
    output: Path, frames: int, fps: int | None, size: int | None, names: tuple[str, ...], elevation: float
) -> None:
    """Raise TdaError for what cannot be shown or written."""
    for name in names or ("none",):
        if name not in OUTPUTS:
            raise TdaError(f"There is no output '{name}'. Scenes have {', '.join(OUTPUTS)}.{suggest(name, OUTPUTS)}")
    require_counts(frames=frames, fps=fps, size=size)
    if not math.isfinite(elevation):
        raise TdaError(f"--elevation is {elevation}. Give a finite number of degrees above the horizon.")
    require_output(output, VIDEOS)
