"""The camera of a browser tab: where it starts, and how it is read. viser's units are the atlas' world units here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from tda_nerfstudio.core.view import View

if TYPE_CHECKING:
    from viser import CameraHandle, ClientHandle

    from tda_nerfstudio.looking.source import Source

AZIMUTH, ELEVATION = -60.0, 20.0
"""Degrees at which a tab starts: in front of an object that faces -y, a little to its side and above."""


def start(client: ClientHandle, source: Source, scale: float = 1.0) -> None:
    """Put a tab's camera as far from the box as those of the images were. `scale` is viser's units a world unit."""
    import numpy as np

    taken, middle = source.camera, source.parts.scenes.box.cpu().mean(0).double().numpy()
    around, up = math.radians(AZIMUTH), math.radians(ELEVATION)
    away = np.array([math.cos(around) * math.cos(up), math.sin(around) * math.cos(up), math.sin(up)])
    tight = min(client.camera.aspect or 1.0, 1.0)  # a narrow window sees less to the sides
    with client.atomic():
        client.camera.fov = 2 * math.atan(taken.height / 2 / taken.focal)
        client.camera.up_direction = np.array([0.0, 0.0, 1.0])
        client.camera.position = (middle + away * taken.distance / tight) * scale
        client.camera.look_at = middle * scale


def read(camera: CameraHandle, longest: int, scale: float = 1.0) -> View:
    """Read a tab's camera, for pictures of its window's shape with a longest side of so many pixels."""
    import viser.transforms as tf

    aspect = camera.aspect or 1.0
    width, height = (longest, longest / aspect) if aspect >= 1 else (longest * aspect, longest)
    width, height = max(round(width), 1), max(round(height), 1)
    turned = torch.tensor(tf.SO3(camera.wxyz).as_matrix())
    place = torch.tensor(camera.position) / scale
    c2w = torch.cat([turned * torch.tensor([1.0, -1.0, -1.0]), place[:, None]], 1)  # from OpenCV's axes
    return View.of(c2w, height / 2 / math.tan(camera.fov / 2), width=width, height=height)


def turn(camera: CameraHandle, degrees: float) -> None:
    """Move a camera around the vertical through what it looks at."""
    import numpy as np

    angle, offset = math.radians(degrees), camera.position - camera.look_at
    cos, sin = math.cos(angle), math.sin(angle)
    moved = np.array([cos * offset[0] - sin * offset[1], sin * offset[0] + cos * offset[1], offset[2]])
    target = camera.look_at.copy()
    with camera.client.atomic():
        camera.position = target + moved
        camera.look_at = target
