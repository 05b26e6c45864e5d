"""Conversion between nerfstudio's `Cameras` and our `View`."""

from __future__ import annotations

import torch
from nerfstudio.cameras.cameras import Cameras, CameraType
from torch import Tensor

from tda_nerfstudio.core.cameras import View


def as_view(cameras: Cameras, device: torch.device | str) -> View:
    """Convert nerfstudio's cameras to a view of all of them, in float32 on a device (camera paths come in float64)."""
    flat = cameras.reshape((-1,)) if cameras.shape != (len(cameras),) else cameras
    parts = (flat.camera_to_worlds, flat.fx[:, 0], flat.fy[:, 0], flat.cx[:, 0], flat.cy[:, 0])
    return View(*(part.to(device, torch.float32) for part in parts))


def as_cameras(view: View, scene: Tensor | None = None) -> Cameras:
    """Convert a view that has an image size to nerfstudio's cameras. `scene` holds the row of each camera's scene."""
    metadata = None if scene is None else {"scene_idx": scene.expand(len(view))[:, None]}
    kind = CameraType.PERSPECTIVE
    return Cameras(*view, width=view.width, height=view.height, camera_type=kind, metadata=metadata)
