"""Camera paths that were drawn in the viewer, read without nerfstudio."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.view import View, image_size

FPS = 24


def read_camera_path(path: Path) -> tuple[View, int]:
    """Read a camera path of nerfstudio's render tab and its frames a second. Raises TdaError for anything else."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        width, height = image_size((content["render_width"], content["render_height"]))
        cameras, fps = content["camera_path"], round(content.get("fps") or FPS)
        poses = torch.tensor([camera["camera_to_world"] for camera in cameras], dtype=torch.float64).view(-1, 4, 4)
        focal = [height / 2 / math.tan(math.radians(camera["fov"]) / 2) for camera in cameras]
        if fps < 1:
            raise ValueError(f"{fps} frames a second are none")
        kind = content.get("camera_type")
        view = View.of(poses[:, :3], focal, width=width, height=height)
    except FileNotFoundError:
        raise TdaError(f"The camera path {path} does not exist. Save one in the viewer's Render tab.") from None
    except Exception as error:
        raise TdaError(
            f"{path} cannot be read as a camera path ({type(error).__name__}: {str(error)[:100]}). Save one in the"
            " viewer's Render tab: Generate Command."
        ) from error
    if kind is not None and str(kind).lower() != "perspective":
        raise TdaError(f"{path} is of the type {kind}. Scenes are shown through Perspective cameras.")
    return view, fps
