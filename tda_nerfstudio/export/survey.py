"""Views taken all around a scene: what surfaces, colours and splats are made from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.showing import OneScene, show
from tda_nerfstudio.core.view import View
from tda_nerfstudio.store.manifest import DefaultCamera

LOWEST, HIGHEST = -20.0, 70.0
"""Elevations of cameras above the horizon, in degrees: what lies beyond, training images rarely show."""
TOGETHER = 8
"""Views that are rendered at once, which bounds memory."""


@dataclass(frozen=True, eq=False)
class Survey:
    """Views of one scene, from any number of cameras of one image size."""

    view: View
    rgb: Float[Tensor, "view 3 height width"]
    """Decoded, or true images, in [0, 1] on white."""
    opacity: Float[Tensor, "view 1 height width"]
    """In [0, 1]."""
    depth: Float[Tensor, "view 1 height width"]
    """Distance from the camera along the ray in world units; 0 where nothing is."""

    def __len__(self) -> int:
        return len(self.view)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rgb.shape[-2], self.rgb.shape[-1]

    def places(
        self, row: int, points: Float[Tensor, "point 3"]
    ) -> tuple[Float[Tensor, "point 2"], Float[Tensor, " point"]]:
        """Project world points into one view: places for `sampled`, and distances from the camera in world units.

        What is behind the camera lies outside of the image.
        """
        view, (height, width) = self.view, self.size
        offset = points - view.c2w[row, :, 3]
        x, y, z = (offset @ view.c2w[row, :, :3]).unbind(-1)
        ahead = (-z).clamp(min=1e-6)
        across = (view.fx[row] * x / ahead + view.cx[row]) * (2 / width) - 1
        down = (view.cy[row] - view.fy[row] * y / ahead) * (2 / height) - 1
        place = torch.stack([across, down], -1)
        return torch.where((z < 0)[:, None], place, 2.0), offset.norm(dim=1)


def sampled(image: Float[Tensor, "channel height width"], place: Float[Tensor, "point 2"], mode: str) -> Tensor:
    """Look up an image, [channel, point]: bilinear or nearest; beyond its edge it goes on."""
    return grid_sample(image[None], place[None, None], mode=mode, padding_mode="border", align_corners=False)[0, :, 0]


def cameras_around(camera: DefaultCamera, centre: Float[Tensor, " 3"], count: int, first: int = 0) -> View:
    """Place cameras evenly on a belt of the sphere around a point, as far away as training cameras; the same always.

    z is up. Cameras are the first ones of an endless row, or those that follow `first` others: these are between them.
    """
    nth = torch.arange(first, first + count) + 0.5
    low, high = (math.sin(math.radians(angle)) for angle in (LOWEST, HIGHEST))
    up = low + (high - low) * (nth * 0.7548776662 % 1)  # both irrational steps: no two cameras are near each other
    azimuth, flat = 2 * math.pi * 0.6180339887 * nth, (1 - up**2).sqrt()
    eyes = centre + camera.distance * torch.stack([flat * azimuth.cos(), flat * azimuth.sin(), up], -1)
    return View.look_at(eyes, centre, size=(camera.width, camera.height), focal=camera.focal)


@torch.no_grad()
def survey(
    scene: OneScene,
    view: View,
    sampling: SamplingConfig,
    focal: float,
    images: Float[Tensor, "view 3 height width"] | None = None,
) -> Survey:
    """Render a scene from cameras that have a size, on its own device. `focal` is that of its training images.

    Images that are given take the place of decoded ones.
    """
    height, width = view.height, view.width
    assert height is not None and width is not None
    names = ("accumulation", "depth") if images is not None else ("accumulation", "depth", "rgb")
    view = view.to(scene[1].device)
    some = [view[start : start + TOGETHER] for start in range(0, len(view), TOGETHER)]
    parts = [show(*scene, one, height, width, sampling, focal, names) for one in some]
    opacity, depth, *decoded = (torch.cat([part[name] for part in parts]) for name in names)
    return Survey(view, decoded[0] if images is None else images.to(depth), opacity, depth)
