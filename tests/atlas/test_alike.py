"""Scenes that are hard to learn with others."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tda_nerfstudio.atlas.alike import busy_background, unlike_scales
from tda_nerfstudio.atlas.layouts.scene import read_scene


def scene(scene_at, folder, scale=1.0, **options):
    scene_at(folder, "nerfstudio", count=8, size=32, **options)
    content = json.loads((folder / "transforms.json").read_text())
    for frame in content["frames"]:
        for row in frame["transform_matrix"][:3]:
            row[3] *= scale
    (folder / "transforms.json").write_text(json.dumps(content))
    return read_scene(folder, eval_every=0)


def test_a_background_is_busy_where_opaque_images_are_not_white_at_their_borders(tmp_path, scene_at):
    assert not busy_background(scene(scene_at, tmp_path / "clear"))
    assert not busy_background(scene(scene_at, tmp_path / "white", mode="RGB"))
    busy = scene(scene_at, tmp_path / "busy")
    for path in busy.train.paths:
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
    assert busy_background(busy)


def test_an_object_that_is_cut_off_before_nothing_is_not_busy(tmp_path, scene_at):
    assert not busy_background(scene(scene_at, tmp_path / "close", low=(-0.9, -0.2, -0.2), high=(0.9, 0.2, 0.2)))


def test_images_that_cannot_be_read_are_not_told_about_here(tmp_path, scene_at):
    broken = scene(scene_at, tmp_path / "broken")
    for path in broken.train.paths:
        path.write_bytes(path.read_bytes()[:60])
    assert not busy_background(broken)


def test_scenes_of_one_scale_are_alike_though_their_objects_differ(tmp_path, scene_at):
    sizes = [(-0.3, 0.3), (-0.35, 0.4), (-0.25, 0.25)]
    scenes = [scene(scene_at, tmp_path / str(i), low=low, high=high) for i, (low, high) in enumerate(sizes)]
    assert unlike_scales(scenes) == {}
    assert unlike_scales(scenes[:1]) == {}


@pytest.mark.parametrize(("scale", "times"), [(10.0, "10"), (0.25, "0.25")])
def test_a_scene_of_another_scale_is_found(tmp_path, scene_at, scale, times):
    scenes = [scene(scene_at, tmp_path / name) for name in "abc"]
    assert unlike_scales([*scenes, scene(scene_at, tmp_path / "odd", scale)]) == {
        "odd": f"is {times} times as large as the others"
    }


def test_an_object_of_another_size_and_cameras_at_another_distance_are_found(tmp_path, scene_at):
    scenes = [scene(scene_at, tmp_path / name) for name in "abc"]
    small = scene(scene_at, tmp_path / "small", low=-0.1, high=0.1)
    far = scene(scene_at, tmp_path / "far", 4.0, mode="RGB")
    for path in far.train.paths:
        Image.new("RGB", (32, 32), (9, 9, 9)).save(path)
    found = unlike_scales([*scenes, small, far])
    assert sorted(found) == ["far", "small"] and found["far"] == "is seen from 4 times as far as the others"
    assert found["small"].startswith("is 0.29 times as large")
