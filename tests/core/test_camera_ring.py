"""Orders of cameras, and the camera that a spiral begins with."""

from __future__ import annotations

import math

import pytest
import torch

from tda_nerfstudio.core.camera_ring import order_by_azimuth, spiral_start, up_direction
from tda_nerfstudio.core.cameras import orbit

CENTRE = torch.tensor([1.0, -2.0, 0.5])


def ring(count: int, elevation: float = 20.0) -> torch.Tensor:
    return orbit(count, 3.0, elevation, 100.0, (64, 64), CENTRE).c2w


def turned(c2w: torch.Tensor) -> torch.Tensor:
    """Turn a world with z up into one with y up, around the origin."""
    turn = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    return turn @ c2w


@pytest.mark.parametrize("turn", [False, True], ids=["z up", "y up"])
def test_cameras_come_in_a_ring_that_begins_with_the_first(turn: bool) -> None:
    order = torch.tensor([5, 2, 9, 0, 7, 1, 8, 4, 6, 3])
    shuffled, centre = ring(10)[order], CENTRE
    if turn:
        shuffled, centre = turned(shuffled), torch.tensor([CENTRE[0], CENTRE[2], -CENTRE[1]])
    found = order[order_by_azimuth(shuffled, centre)].tolist()
    forwards = [(5 + i) % 10 for i in range(10)]
    assert found in (forwards, forwards[:1] + forwards[:0:-1])


def test_the_way_between_neighbours_stays_outside_of_what_they_look_at() -> None:
    generator = torch.Generator().manual_seed(0)
    low, high = ring(40, 10.0), ring(40, 45.0)
    some = torch.cat([low, high])[torch.randperm(80, generator=generator)[:10]]
    path = some[order_by_azimuth(some, CENTRE), :, 3]
    share = torch.linspace(0, 1, 11)[:, None, None]
    between = path[:-1] * (1 - share) + path[1:] * share
    assert float((between - CENTRE).norm(dim=-1).min()) > 1.5  # half of the cameras' distance


@pytest.mark.parametrize("part", [slice(None), slice(2, 6), slice(0, 1)], ids=["all around", "one side", "one camera"])
def test_up_is_found_from_upright_cameras_wherever_they_stand(part: slice) -> None:
    tilt = math.radians(20) if part == slice(0, 1) else 0.0  # one camera knows no up but its own
    assert float(up_direction(ring(7)[part])[2]) == pytest.approx(math.cos(tilt), abs=1e-3)


@pytest.mark.parametrize("turn", [False, True], ids=["z up", "y up"])
def test_nerfstudios_spiral_is_upright(turn: bool) -> None:
    from nerfstudio.cameras.camera_paths import get_spiral_path
    from nerfstudio.cameras.cameras import Cameras

    c2w, centre, up = ring(7)[2:6], CENTRE, torch.tensor([0.0, 0.0, 1.0])
    if turn:
        c2w, centre = turned(c2w), torch.tensor([CENTRE[0], CENTRE[2], -CENTRE[1]])
        up = torch.tensor([0.0, 1.0, 0.0])
    start = spiral_start(c2w, centre)
    assert float((start[:, 3] - centre).norm()) == pytest.approx(3.0, abs=1e-4)
    assert float((start[:, 3] - centre) @ up) == pytest.approx(3.0 * math.sin(math.radians(20)), abs=1e-3)
    assert torch.allclose(start[:, :3].T @ start[:, :3], torch.eye(3), atol=1e-5)
    size = torch.tensor([100.0])
    path = get_spiral_path(Cameras(start[None], size, size, size / 2, size / 2), steps=12, radius=0.1)
    assert float((path.camera_to_worlds[:, :, 1] @ up).min()) > 0.9
    assert float((path.camera_to_worlds[:, :, 0] @ up).abs().max()) < 0.05
    looks = torch.nn.functional.normalize(centre - path.camera_to_worlds[:, :, 3], dim=-1)
    assert float((-path.camera_to_worlds[:, :, 2] * looks).sum(-1).min()) > 0.99
