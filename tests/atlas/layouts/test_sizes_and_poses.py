"""Sizes that files and images have, and poses far from the origin."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from tda_nerfstudio.atlas.layouts.scene import read_scene
from tda_nerfstudio.base.errors import TdaError


def edit(folder, change):
    content = json.loads((folder / "transforms.json").read_text())
    change(content)
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


def resize(path, size):
    Image.open(path).resize(size).save(path)


def test_a_size_that_is_not_the_image_s_scales_the_camera(tmp_path, scene_at):
    folder = scene_at(tmp_path / "car", "nerfstudio", size=24)  # as nerfstudio's images_4 beside the file of images
    edit(folder, lambda c: c.update(w=97, h=97, fl_x=48.5, fl_y=97.0, cx=40.0, cy=50.0))
    views = read_scene(folder, eval_every=0).train
    assert views.fx[0].item() == pytest.approx(12) and views.fy[0].item() == pytest.approx(24)
    assert views.cx[0].item() == pytest.approx(40 * 24 / 97) and views.cy[0].item() == pytest.approx(50 * 24 / 97)


def test_srn_intrinsics_of_another_size_are_scaled(tmp_path, scene_at):
    folder = scene_at(tmp_path / "car", "srn", size=16)
    (folder / "intrinsics.txt").write_text("525 256 256 0\n0 0 0\n1\n512 512\n")
    views = read_scene(folder).train
    assert views.fx[0].item() == pytest.approx(525 / 32) and views.cx[0].item() == 8


def test_some_images_of_another_size_get_the_size_of_most(tmp_path, scene_at):
    folder = scene_at(tmp_path / "car", "nerfstudio", size=24)
    resize(folder / "rgb/000000.png", (48, 48))
    edit(folder, lambda c: (c.pop("w"), c.pop("h"), c["frames"][0].update(fl_x=57.6, fl_y=57.6, cx=24.0, cy=24.0)))
    scene = read_scene(folder, eval_every=0)
    assert (scene.width, scene.height) == (24, 24) and "images of other sizes are resampled" in scene.notes
    assert scene.train.fx.tolist() == pytest.approx([28.8] * 6) and scene.train.cx.tolist() == [12.0] * 6


def test_far_from_the_origin_is_refused_with_what_to_subtract(tmp_path, scene_at):
    far = np.array([500_000.25, 4_200_000.5, 120.0])

    def move(content, by=far):
        for frame in content["frames"]:
            matrix = np.array(frame["transform_matrix"])
            matrix[:3, 3] += by
            frame["transform_matrix"] = matrix.tolist()

    folder = edit(scene_at(tmp_path / "car", "nerfstudio"), move)
    places = [frame["transform_matrix"] for frame in json.loads((folder / "transforms.json").read_text())["frames"]]
    middle = np.array(places)[:, :3, 3].mean(0)
    with pytest.raises(
        TdaError, match=r"Scene 'car': .*4.23e\+06 from the origin and .* around their middle"
    ) as caught:
        read_scene(folder)
    shift = ", ".join(f"{value:.7g}" for value in middle)
    assert f"Subtract ({shift}) from the last column of every pose." in str(caught.value)
    edit(folder, lambda content: move(content, -middle.round(0)))
    assert read_scene(folder, eval_every=0).train.c2w[:, :, 3].abs().max() < 3


def test_near_the_origin_or_in_one_place_nothing_is_refused(tmp_path, scene_at):
    folder = scene_at(tmp_path / "car", "nerfstudio")

    def stand_still(content):
        for frame in content["frames"]:
            for row, value in enumerate((0.1, 20.3, 1.7)):
                frame["transform_matrix"][row][3] = value

    edit(folder, stand_still)
    assert torch.allclose(read_scene(folder).train.c2w[0, :, 3], torch.tensor([0.1, 20.3, 1.7]))
