"""Cameras from numbers, and other sizes of their images."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.cameras import orbit, rays
from tda_nerfstudio.core.view import View, image_size

POSE = [[1, 0, 0, 4], [0, 1, 0, 5], [0, 0, 1, 6], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    "c2w",
    [
        POSE,
        POSE[:3],
        [POSE],
        np.array(POSE, dtype=np.float64),
        np.array([POSE], dtype=np.float32)[:, :3],
        torch.tensor(POSE),
        torch.tensor(POSE, dtype=torch.float64, requires_grad=True),
    ],
)
def test_a_pose_comes_as_a_list_or_an_array_of_any_type(c2w) -> None:
    view = View.of(c2w, np.float64(100), width=64, height=48)
    torch.testing.assert_close(view.c2w, torch.tensor(POSE[:3], dtype=torch.float32)[None])
    assert [part.tolist() for part in list(view)[1:]] == [[100.0], [100.0], [32.0], [24.0]]
    assert (view.width, view.height, len(view)) == (64, 48, 1)
    assert {part.dtype for part in view} == {torch.float32} and not view.c2w.requires_grad


def test_many_poses_have_intrinsics_for_all_or_for_each() -> None:
    view = View.of([POSE] * 3, [10, 20, 30], 5.5, cx=[1, 2, 3], cy=4)
    assert view.fx.tolist() == [10, 20, 30] and view.fy.tolist() == [5.5] * 3
    assert view.cx.tolist() == [1, 2, 3] and view.cy.tolist() == [4] * 3 and view.width is None
    some = view[[2, 0]]
    assert some.fx.tolist() == [30, 10] and len(some) == 2 and len(view[1:]) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((POSE, "wide"), "fx cannot be read as numbers"),
        ((POSE, float("nan")), "fx has numbers that are not finite"),
        ((POSE, 0), "fx is 0. Focal lengths are in pixels, more than 0."),
        ((POSE, [1, 2]), "fx has 2 numbers for 1 cameras"),
        (([[1, 2], [3, 4]], 9), "c2w is 2 x 2. Give camera-to-world matrices: one or several, each 3 x 4 or 4 x 4."),
        ((3.0, 9), "c2w is one number"),
        ((np.zeros((0, 3, 4)), 9), "c2w is 0 x 3 x 4"),
        ((np.array(POSE).T, 9), "The last row of a c2w is not 0 0 0 1. Is it transposed?"),
        (([[[1, 2], [3]]], 9), "c2w cannot be read as numbers"),
        ((np.full((3, 4), np.inf), 9), "c2w has numbers that are not finite"),
    ],
)
def test_what_are_no_cameras_is_refused(given: tuple, message: str) -> None:
    with pytest.raises(TdaError) as refused:
        View.of(*given, width=64, height=64)
    assert message in str(refused.value)


def test_the_middle_of_the_image_must_be_known() -> None:
    with pytest.raises(TdaError, match="Give width and height, or cx and cy in pixels"):
        View.of(POSE, 9)
    with pytest.raises(TdaError, match=r"size is \(64, 0\). Give \(width, height\) in whole pixels"):
        View.of(POSE, 9, width=64, height=0)


@pytest.mark.parametrize("size", [0, -3, 2.5, (1, 2, 3), "64", (64, None), None])
def test_what_is_no_size_is_refused(size) -> None:
    with pytest.raises(TdaError, match="An image's size is "):
        image_size(size)
    assert image_size(7) == (7, 7) and image_size([3, np.int64(4)]) == (3, 4)


def test_a_camera_that_looks_at_a_point_is_the_one_of_an_orbit() -> None:
    expected = orbit(5, 3.0, 20.0, 40.0, (32, 24), torch.tensor([1.0, 2.0, 3.0]))
    view = View.look_at(expected.c2w[:, :, 3].double().numpy(), [1, 2, 3], focal=40.0, size=(32, 24))
    for found, wanted in zip(view, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    assert (view.width, view.height) == (32, 24) == (expected.width, expected.height)


def test_the_field_of_view_is_vertical() -> None:
    view = View.look_at((0, -3, 0), fov=90, size=(40, 20))
    assert view.fx.tolist() == view.fy.tolist() == [pytest.approx(10.0)]
    origins, directions = rays(view, torch.tensor([[[20.0, 0.0], [20.0, 10.0]]]), 1)
    half = math.sqrt(0.5)
    torch.testing.assert_close(directions[0], torch.tensor([[0.0, half, half], [0.0, 1.0, 0.0]]), rtol=0, atol=1e-6)
    assert origins[0, 0].tolist() == [0, -3, 0]


@pytest.mark.parametrize("eye", [(0, 0, 5), (0, 0, -5)])
def test_a_camera_may_look_straight_down_or_up(eye: tuple) -> None:
    rotation = View.look_at(eye, fov=40, size=8).c2w[0, :, :3]
    torch.testing.assert_close(rotation.T @ rotation, torch.eye(3))
    assert float(torch.linalg.det(rotation)) == pytest.approx(1)
    assert rotation[:, 2].tolist() == [0, 0, math.copysign(1, eye[2])]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fov": 40, "focal": 3}, "Give one of fov"),
        ({}, "Give one of fov"),
        ({"fov": 180}, "between 0 and 180 degrees"),
        ({"fov": 40, "target": (0, 0)}, "target is 1 x 2. Give three numbers"),
        ({"fov": 40, "target": (1, 2, 3)}, "A camera is at its own target"),
        ({"fov": 40, "target": [(0, 0, 0), (1, 0, 0)]}, "target or up is not given for each of 1 eyes"),
        ({"fov": 40, "up": (0, 0, float("inf"))}, "up has numbers that are not finite"),
    ],
)
def test_what_looks_at_nothing_is_refused(given: dict, message: str) -> None:
    with pytest.raises(TdaError) as refused:
        View.look_at((1, 2, 3), size=8, **given)
    assert message in str(refused.value)


def test_another_size_shows_the_same_at_another_resolution() -> None:
    view = View.look_at((0, -3, 0), fov=60, size=(40, 20))
    double = view.resized(80, 40)
    at = torch.tensor([[[0.0, 0.0], [40.0, 20.0], [13.0, 7.0]]])
    torch.testing.assert_close(rays(view, at, 1)[1], rays(double, 2 * at, 1)[1])
    assert view.resized(40, 20).fx is view.fx


@pytest.mark.parametrize(
    ("size", "scale", "border"), [((64, 20), 1, (12, 0)), ((40, 30), 1, (0, 5)), ((20, 20), 0.5, (0, 5))]
)
def test_an_image_of_another_shape_keeps_in_the_middle_all_that_was_in_sight(size, scale, border) -> None:
    view = View.look_at((0, -3, 0), fov=60, size=(40, 20))
    other = view.resized(*size)
    corners = torch.tensor([[[0.0, 0.0], [40.0, 20.0]]])
    torch.testing.assert_close(rays(view, corners, 1)[1], rays(other, corners * scale + torch.tensor(border), 1)[1])
    assert other.fx.tolist() == other.fy.tolist()


def test_without_a_size_intrinsics_are_for_the_one_that_is_asked_for() -> None:
    view = View.of(POSE, 9, cx=3, cy=4).resized(100, 50)
    assert view.cx.tolist() == [3] and (view.width, view.height) == (100, 50)
    assert view.resized(200, 100).fx.tolist() == [18]
