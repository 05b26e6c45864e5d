"""Surfaces and points of a scene whose shape is known, and colours that views see of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from a_scene import AXES, HIGH, LOW, MIDDLE, off_surface

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.view import View
from tda_nerfstudio.export.colours import seen_colours
from tda_nerfstudio.export.subject import Subject
from tda_nerfstudio.export.surface_points import points_on
from tda_nerfstudio.export.survey import Survey, cameras_around
from tda_nerfstudio.store.learnt_scene import LearntScene, Record
from tda_nerfstudio.store.manifest import DefaultCamera
from tda_nerfstudio.store.store import Store

LONGEST = 2 * float(AXES.max())


def test_the_surface_stands_where_the_scene_stood(subject: Subject) -> None:
    mesh = subject.surface(64)
    assert mesh.is_watertight
    volume = 4 / 3 * np.pi * AXES.prod()
    assert mesh.volume == pytest.approx(volume, rel=0.04)  # positive: faces are counter-clockwise from outside
    assert np.abs(off_surface(np.asarray(mesh.vertices))).mean() < 0.005 * LONGEST
    np.testing.assert_allclose(mesh.bounds, [MIDDLE - AXES, MIDDLE + AXES], atol=0.015 * LONGEST)
    assert mesh.body_count == 1  # no walls within


def test_points_are_even_and_their_normals_point_outwards(subject: Subject) -> None:
    mesh = subject.surface(48)
    points, normals = (part.numpy() for part in points_on(mesh, 2000, seed=3))
    outwards = (points - MIDDLE) / AXES**2
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    assert (normals * outwards).sum(1).mean() > 0.99
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    gaps = np.linalg.norm(points[None] - points[:, None] + 9 * np.eye(2000)[..., None], axis=2).min(1)
    assert gaps.mean() > 0.55 * np.sqrt(mesh.area / 2000)  # random points have 0.5
    again = points_on(mesh, 2000, seed=3)[0].numpy()
    np.testing.assert_array_equal(points, again)


def test_points_have_the_colours_that_views_show(subject: Subject) -> None:
    points, normals = points_on(subject.surface(64), 500)
    colours = seen_colours(subject.around, points, normals, subject.tolerance)
    box = torch.tensor(np.stack([LOW, HIGH])).float()
    table, planes, _, _ = subject.scene
    assert table.box.allclose(box)
    density, own = table.density_and_colour(table.features(planes, points, torch.zeros(500, dtype=torch.long)))
    seen = normals[:, 2] > -0.2
    assert float((colours - own).abs()[seen].mean()) < 0.02


def test_what_is_hidden_does_not_lend_its_colour() -> None:
    """Two views of a point from opposite sides: only one of them sees it, since the other's depth ends before."""
    eyes = torch.tensor([[0.0, 2.0, 0.0], [0.0, -2.0, 0.0]])
    view = View.look_at(eyes, size=8, focal=10.0)
    rgb = torch.stack([torch.full((3, 8, 8), 0.9), torch.full((3, 8, 8), 0.2)])
    depth = torch.tensor([1.5, 1.5])[:, None, None, None].expand(2, 1, 8, 8)
    views = Survey(view, rgb, torch.ones(2, 1, 8, 8), depth)
    point, normal = torch.tensor([[0.0, 0.5, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    torch.testing.assert_close(seen_colours(views, point, normal, 0.1), torch.full((1, 3), 0.9), atol=2e-3, rtol=0)
    torch.testing.assert_close(seen_colours(views, -point, -normal, 0.1), torch.full((1, 3), 0.2), atol=2e-3, rtol=0)


def test_cameras_are_all_around_and_look_at_the_middle() -> None:
    centre = torch.tensor([1.0, 2.0, 3.0])
    view = cameras_around(DefaultCamera(8, 8, 10.0, 2.0), centre, 40)
    offset = view.c2w[:, :, 3] - centre
    torch.testing.assert_close(offset.norm(dim=1), torch.full((40,), 2.0))
    elevation = torch.rad2deg(torch.asin(offset[:, 2] / 2))
    assert -20 <= float(elevation.min()) < -10 and 55 < float(elevation.max()) <= 70
    torch.testing.assert_close(view.c2w[:, :, 2], offset / 2, atol=1e-5, rtol=0)
    gaps = (view.c2w[None, :, :, 3] - view.c2w[:, None, :, 3]).norm(dim=-1) + 9 * torch.eye(40)
    assert float(gaps.min()) > 0.2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda learnt: replace(learnt, occupied=torch.zeros_like(learnt.occupied)), "it is empty"),
        (lambda learnt: replace(learnt, micro=learnt.micro * 0 - 0.001), "it is fog all over"),
    ],
)
def test_a_scene_without_a_surface_is_refused(
    ball_store: Store, tmp_path: Path, change: Callable[[LearntScene], LearntScene], said: str
) -> None:
    shutil.copytree(ball_store.folder, tmp_path / "store")
    store = Store(tmp_path / "store", device="cpu")
    store.add([replace(change(store["ball"].learnt), record=Record("wrong"))], "fp32")
    with pytest.raises(TdaError, match=said):
        Subject.of(store, "wrong")
