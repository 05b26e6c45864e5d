"""Vehicles made of ellipsoids: exact pictures without an atlas, and planes whose density fills such a vehicle.

World units: a vehicle is about 1 long, z up, centred at the origin. Pictures have four channels in [0, 1], the first
three of which are RGB on white.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.core.cameras import View, orbit, pixel_centres, rays

CHANNELS = 4
BACKGROUND = (1.0, 1.0, 1.0, 0.5)
BOX = ((-0.5, -0.25, -0.22), (0.5, 0.25, 0.22))
"""The box that an atlas of such vehicles would get."""
DISTANCE, FIELD_OF_VIEW = 1.9, 39.6
TRAIN_ORBITS, TEST_ORBITS = (4.0, 18.0, 32.0, 50.0), (11.0, 40.0)
"""Elevations in degrees of the orbits: ten training views on each, or five held-out views."""
LIGHT = (0.3, -0.5, 0.81)


class Vehicle(NamedTuple):
    """Opaque ellipsoids with axes along x, y, z; the first is the body."""

    centre: Float[Tensor, "part 3"]
    half: Float[Tensor, "part 3"]
    colour: Float[Tensor, "part 4"]


def make_vehicle(seed: int) -> Vehicle:
    """Draw body, cabin, two lamps and four wheels, each of its own size and colour."""
    generator = torch.Generator().manual_seed(seed)
    corners = [[x, y, -0.11] for x in (-0.27, 0.27) for y in (-0.16, 0.16)]
    centre = torch.tensor([[0, 0, -0.03], [-0.05, 0, 0.07], [0.4, 0.09, -0.02], [0.4, -0.09, -0.02], *corners])
    half = torch.tensor([[0.46, 0.19, 0.11], [0.24, 0.16, 0.1], *[[0.05, 0.04, 0.04]] * 2, *[[0.09, 0.05, 0.09]] * 4])
    stretch = 1 + 0.16 * (torch.rand(4, 3, generator=generator) - 0.5)
    kind = torch.tensor([0, 1, 2, 2, 3, 3, 3, 3])
    colour = torch.rand(4, CHANNELS, generator=generator) * torch.tensor([1, 0.6, 1, 0.2])[:, None]
    return Vehicle(centre * stretch[0], half * stretch[kind], colour[kind])


def cameras(elevations: tuple[float, ...], count: int, size: int) -> View:
    """Place `count` cameras on each orbit around the origin, for pictures of size x size pixels."""
    focal = size / 2 / math.tan(math.radians(FIELD_OF_VIEW / 2))
    orbits = [orbit(count, DISTANCE, elevation, focal, (size, size), torch.zeros(3)) for elevation in elevations]
    return View(*(torch.cat(parts) for parts in zip(*orbits, strict=True)))


def look(
    vehicle: Vehicle, origins: Float[Tensor, "ray 3"], directions: Float[Tensor, "ray 3"]
) -> Float[Tensor, "ray 4"]:
    """See the nearest ellipsoid along each ray, lit from one side, or the background."""
    start = (origins[:, None] - vehicle.centre) / vehicle.half
    along = directions[:, None] / vehicle.half
    a, b, c = along.square().sum(-1), (start * along).sum(-1), start.square().sum(-1) - 1
    root = b.square() - a * c
    distance = torch.where(root > 0, (-b - root.clamp(min=0).sqrt()) / a, math.inf)
    nearest, part = distance.min(1)
    seen = nearest.isfinite()
    at = (torch.where(seen, nearest, 0)[:, None] * directions + origins - vehicle.centre[part]) / vehicle.half[
        part
    ] ** 2
    shade = torch.nn.functional.normalize(at, dim=-1) @ at.new_tensor(LIGHT)
    lit = vehicle.colour[part] * (0.6 + 0.4 * shade)[:, None]
    return torch.where(seen[:, None], lit.clamp(0, 1), at.new_tensor(BACKGROUND))


def pictures(vehicle: Vehicle, view: View, size: int) -> Float[Tensor, "view 4 size size"]:
    """Draw a vehicle, one ray a pixel: a latent pixel, averaged over f x f of them, is antialiased."""
    drawn = []
    for i in range(len(view.fx)):
        origins, directions = rays(view[i : i + 1], pixel_centres(size, size)[None], 1)
        drawn.append(look(vehicle, origins[0], directions[0]).view(size, size, CHANNELS).permute(2, 0, 1))
    return torch.stack(drawn)


def body_planes(
    half: Float[Tensor, "scene 3"], box: Float[Tensor, "2 3"], resolution: int
) -> Float[Tensor, "scene 3 R R"]:
    """Write 1 - x^2/a^2 - y^2/b^2 - z^2/c^2 as a sum of three planes, (x, y), (x, z), (y, z), [height, width] each.

    This plane feature is positive inside the ellipsoid alone.
    """
    share = (torch.arange(resolution) + 0.5) / resolution
    x, y, z = ((box[0] + share[:, None] * (box[1] - box[0])).T[None] / half[:, :, None]).square().unbind(1)
    planes = torch.zeros(len(half), 3, resolution, resolution)
    planes[:, 0] = 1 - x[:, None, :] - y[:, :, None]
    planes[:, 1] = -z[:, :, None]
    return planes


@torch.no_grad()
def read_body(hidden: torch.nn.Linear, head: torch.nn.Linear) -> None:
    """Let the first feature decide an MLP's density: opaque where it is positive, about 1e-3 elsewhere."""
    hidden.weight[0] = 0
    hidden.weight[0, 0], hidden.bias[0] = 20, 0
    head.weight[0] = 0
    head.weight[0, 0], head.bias[0] = 1.5, -6
