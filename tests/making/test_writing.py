"""Cameras around the origin, and scenes written whole or not at all."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from make_models import PLAIN, quad_glb
from PIL import Image

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.models.files import read_model
from tda_nerfstudio.making.raycast import Raycaster
from tda_nerfstudio.making.writing import DISTANCE, HIGHEST, LOWEST, camera_sphere, finished, sphere_views, write_scene


@pytest.mark.parametrize("count", [1, 7, 40])
def test_cameras_look_at_the_origin_from_even_heights(count):
    poses = camera_sphere(count, (0, 3, 1))
    rotation, position = poses[..., :3], poses[..., 3]
    np.testing.assert_allclose(
        rotation @ rotation.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (count, 3, 3)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rotation), 1)
    np.testing.assert_allclose(position, DISTANCE * rotation[..., 2], atol=1e-12)  # OpenGL: looks along -z
    assert not rotation[:, 2, 0].any() and (rotation[:, 2, 1] > 0).all()  # the horizon is level, up is up
    heights = np.sort(position[:, 2]) / DISTANCE
    low, high = math.sin(math.radians(LOWEST)), math.sin(math.radians(HIGHEST))
    np.testing.assert_allclose(heights, low + (high - low) * (np.arange(count) + 0.5) / count, atol=1e-12)


def test_cameras_go_all_around():
    turned = np.sort(np.arctan2(*camera_sphere(40, (0, 0, 0))[:, 1::-1, 3].T) % (2 * np.pi))
    gaps = [after - before for before, after in pairwise([*turned, turned[0] + 2 * np.pi])]
    assert max(gaps) < 3 * 2 * np.pi / 40


def test_views_of_both_splits_share_intrinsics_and_differ_in_poses():
    views = sphere_views(3, 2, 32, (5, 6))
    assert {key: len(cameras) for key, cameras in views.items()} == {"train": 3, "test": 2}
    assert {camera[1:] for cameras in views.values() for camera in cameras} == {views["test"][0][1:]}
    np.testing.assert_array_equal(views["test"][1].c2w, camera_sphere(2, (5, 6, 1))[1])


@pytest.fixture
def caster(tmp_path) -> Raycaster:
    return Raycaster(read_model(quad_glb(tmp_path / "quad.glb")), PLAIN)


def test_a_scene_is_written_in_blender_layout(tmp_path, caster):
    views = sphere_views(2, 1, 16, (0, 0))
    write_scene(tmp_path / "scene", caster, views, {"size": 16})
    content = json.loads((tmp_path / "scene/transforms_test.json").read_text())
    focal = 8 / math.tan(math.radians(39.6) / 2)
    camera = {"camera_angle_x": math.radians(39.6), "fl_x": focal, "fl_y": focal, "cx": 8, "cy": 8, "w": 16, "h": 16}
    assert {key: content[key] for key in camera} == pytest.approx(camera)
    assert [frame["file_path"] for frame in content["frames"]] == ["./test/r_000.png"]
    np.testing.assert_array_equal(content["frames"][0]["transform_matrix"][:3], views["test"][0].c2w)
    with Image.open(tmp_path / "scene/train/r_001.png") as image:
        np.testing.assert_array_equal(np.array(image), caster.render(views["train"][1]))


def test_a_failure_leaves_no_scene_and_the_next_try_starts_afresh(tmp_path, caster, monkeypatch):
    views = sphere_views(2, 1, 16, (0, 0))
    with monkeypatch.context() as patch:
        patch.setattr(json, "dumps", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_scene(tmp_path / "scene", caster, views, {})
    assert not finished(tmp_path / "scene", {}) and (tmp_path / ".scene.tmp/train/r_001.png").is_file()
    (tmp_path / ".scene.tmp/stray").touch()
    write_scene(tmp_path / "scene", caster, views, {})
    assert finished(tmp_path / "scene", {}) and not (tmp_path / "scene/stray").exists()
    assert not (tmp_path / ".scene.tmp").exists()


def test_what_differs_is_said(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/recipe.json").write_text('{"size": 8, "seed": 1}')
    with pytest.raises(TdaError) as caught:
        finished(tmp_path / "a", {"size": 8, "seed": 2, "views": 3})
    assert str(caught.value) == (
        f"{tmp_path}/a exists already and was not made with these options (seed was 1, is 2; views was None, is 3)."
        " Name another folder, or remove that one."
    )
