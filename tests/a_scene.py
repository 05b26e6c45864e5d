"""A store of one scene, made from plain numbers: an ellipsoid whose colours tell where on it one looks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tda_nerfstudio.autoencoder.build import build, resolve
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.scenes import LatentScenes, TriPlaneConfig
from tda_nerfstudio.store.learnt_scene import LearntScene, Record
from tda_nerfstudio.store.manifest import DefaultCamera, SharedConfig
from tda_nerfstudio.store.shared_parts import SharedParts, write_shared_parts
from tda_nerfstudio.store.store import Store

BOX = ((0.2, -1.6, 0.4), (2.6, 0.2, 1.8))
"""Lowest and highest corner in world units: not around the origin, and no cube."""
CENTRE, RADIUS = (0.2, -0.15, 0.1), 0.55
"""Of the ball in box coordinates; in the world it is an ellipsoid, beside the middle of the box."""
LOW, HIGH = map(np.array, BOX)
MIDDLE = LOW + (np.array(CENTRE) + 1) / 2 * (HIGH - LOW)
AXES = RADIUS / 2 * (HIGH - LOW)
"""Middle and half axes of the ellipsoid in the world."""
CAMERA = DefaultCamera(96, 96, 150.0, 4.0)
STEEPNESS = 200.0
"""How fast density falls at the surface: it is opaque within a hundredth of the box."""
COLOURS = 4.0
"""How fast colours change: red grows with x, green with y, blue with z."""
LINEAR = 5.0
"""Offset of hidden features from where their softplus bends."""


def off_surface(points: np.ndarray) -> np.ndarray:
    """Distances of points to the ellipsoid along rays from its middle, in world units; positive outside."""
    from_middle = points - MIDDLE
    return np.linalg.norm(from_middle, axis=1) * (1 - 1 / np.linalg.norm(from_middle / AXES, axis=1))


def store_of_a_ball(folder: Path) -> Store:
    """Write a store whose one scene, 'ball', is opaque; mirrored images or exchanged axes show in its colours."""
    config = TriPlaneConfig(resolution=32, micro_channels=4, macro_channels=0, bases=0, hidden=4, grid=16)
    autoencoder = resolve(AutoencoderConfig(kind="colours"))
    codec = build(autoencoder).eval()
    codec.measure_background(CAMERA.height, CAMERA.width)
    scenes = _ball(LatentScenes(1, codec.point_channels, config))
    scenes.refresh(torch.tensor([0]), codec.background, grow=False)
    micro, weights, occupied = scenes.micro[0].detach(), scenes.weights[0].detach(), scenes.occupied[0]
    shared = SharedConfig(config, autoencoder, SamplingConfig(24, 24))
    write_shared_parts(folder, SharedParts(shared, scenes, codec, weights, occupied), CAMERA, {"made": "in a test"})
    store = Store(folder, device="cpu")
    store.add([LearntScene(Record("ball"), micro.view(3, 32, 32, 4), weights, occupied)], "fp32")
    return store


@torch.no_grad()
def _ball(scenes: LatentScenes) -> LatentScenes:
    """Let planes add up to the distance from the surface in their first feature, and to x, y, z in the others."""
    r = scenes.config.resolution
    line = ((torch.arange(r) + 0.5) / r) * 2 - 1
    x, y, z = ((line - c).square() for c in CENTRE)
    planes = torch.zeros(3, r, r, 4)
    planes[0, ..., 0] = RADIUS**2 - x[None] - y[:, None]  # (x, y): v is y
    planes[1, ..., 0] = -z[:, None]  # (x, z): v is z
    planes[0, ..., 1] = line[None] - CENTRE[0]
    planes[0, ..., 2] = line[:, None] - CENTRE[1]
    planes[1, ..., 3] = line[:, None] - CENTRE[2]
    scenes.micro[0] = planes.flatten()
    scenes.box.copy_(torch.tensor(BOX))
    scenes.hidden.weight.copy_(torch.diag(torch.tensor([STEEPNESS, 1.0, 1.0, 1.0])))
    scenes.hidden.bias.copy_(torch.tensor([0.0, LINEAR, LINEAR, LINEAR]))
    scenes.head.weight.copy_(torch.diag(torch.tensor([60.0, COLOURS, COLOURS, COLOURS])))
    scenes.head.bias.copy_(torch.tensor([-20.0, *[-LINEAR * COLOURS] * 3]))
    return scenes
