"""How frames name their images."""

from __future__ import annotations

import json
import math

import pytest
from PIL import Image

from tda_nerfstudio.atlas.layouts.scene import read_scene
from tda_nerfstudio.base.errors import TdaError


def rename(folder, change):
    content = json.loads((folder / "transforms.json").read_text())
    for frame in content["frames"]:
        frame["file_path"] = change(frame["file_path"])
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG", ".webp"])
def test_a_path_without_suffix_finds_the_file_that_is_there(tmp_path, scene_at, suffix):
    folder = rename(scene_at(tmp_path / "car", "nerfstudio"), lambda path: path.removesuffix(".png"))
    for path in (folder / "rgb").iterdir():
        Image.open(path).convert("RGB").save(path.with_suffix(suffix))
        path.unlink()
    assert read_scene(folder, eval_every=0).train.paths[2] == folder / f"rgb/000002{suffix}"


def test_png_wins_over_other_suffixes_and_dots_in_names_are_none(tmp_path, scene_at):
    folder = scene_at(tmp_path / "car", "nerfstudio")
    for path in (folder / "rgb").iterdir():
        Image.open(path).convert("RGB").save(path.with_name(f"frame.{path.stem}.jpg"))
        path.rename(path.with_name(f"frame.{path.stem}.png"))
    rename(folder, lambda path: path.removesuffix(".png").replace("rgb/", "rgb/frame."))
    assert read_scene(folder, eval_every=0).train.paths[0].name == "frame.000000.png"


@pytest.mark.parametrize(
    "elsewhere",
    ["/home/x/car/rgb/", "C:\\Users\\x\\car\\rgb\\", "/home/x/car/pictures/", "//server/rgb/"],
)
def test_an_absolute_path_stands_for_the_file_of_that_name(tmp_path, scene_at, elsewhere):
    folder = rename(scene_at(tmp_path / "car", "nerfstudio"), lambda path: path.replace("rgb/", elsewhere))
    (folder / "masks_old").mkdir()
    Image.new("L", (8, 8)).save(folder / "masks_old/000000.png")
    scene = read_scene(folder, eval_every=0)
    assert scene.train.paths == tuple(folder / f"rgb/{index:06d}.png" for index in range(6))
    assert scene.notes == ("file_path leads elsewhere: the files of the same name in the scene folder are read",)


def test_an_absolute_path_to_two_files_of_one_name_is_refused(tmp_path, scene_at):
    folder = rename(scene_at(tmp_path / "car", "nerfstudio"), lambda path: f"/else{path.removeprefix('rgb')}")
    (folder / "thumbnails").mkdir()
    Image.new("L", (8, 8)).save(folder / "thumbnails/000000.png")
    with pytest.raises(TdaError, match=r"Scene 'car': transforms.json: file_path '/else/000000.png' leads out of"):
        read_scene(folder)


def edited(scene_at, folder, shared, own):
    folder = scene_at(folder, "nerfstudio")
    content = json.loads((folder / "transforms.json").read_text())
    for key in ("fl_x", "fl_y"):
        del content[key]
    content["frames"][1] |= own
    (folder / "transforms.json").write_text(json.dumps(content | shared))
    views = read_scene(folder, eval_every=0).train
    return [(round(views.fx[i].item(), 4), round(views.fy[i].item(), 4)) for i in (0, 1)]


QUARTER = {"camera_angle_x": math.pi / 2}  # a focal length of 4 pixels


def test_both_angles_are_read(tmp_path, scene_at):
    angles = {"camera_angle_x": math.pi / 2, "camera_angle_y": 2 * math.atan(0.5)}
    assert edited(scene_at, tmp_path / "car", angles, {}) == [(4, 8), (4, 8)]
    assert edited(scene_at, tmp_path / "one", QUARTER, {}) == [(4, 4), (4, 4)]


def test_a_frame_s_own_keys_win_in_whichever_spelling(tmp_path, scene_at):
    lengths, tall = {"fl_x": 9.0, "fl_y": 7.0}, {"camera_angle_y": math.pi / 2}
    assert edited(scene_at, tmp_path / "a", lengths, QUARTER) == [(9, 7), (4, 7)]
    assert edited(scene_at, tmp_path / "b", QUARTER, {"fl_x": 9.0}) == [(4, 4), (9, 9)]
    assert edited(scene_at, tmp_path / "c", lengths, tall) == [(9, 7), (9, 4)]
    assert edited(scene_at, tmp_path / "d", lengths | tall, {"fl_y": 6.0}) == [(9, 7), (9, 6)]


def lenses(scene_at, folder, shared, own):
    folder = scene_at(folder, "nerfstudio")
    content = json.loads((folder / "transforms.json").read_text())
    content["frames"][1] |= own
    (folder / "transforms.json").write_text(json.dumps(content | shared))
    return [picture.lens for picture in read_scene(folder, eval_every=0).train.pictures[:2]]


def test_a_frame_s_own_distortion_wins_in_whichever_spelling(tmp_path, scene_at):
    params = {"distortion_params": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}
    first, second = lenses(scene_at, tmp_path / "a", params, {"k1": 0.7, "k5": 0.8})
    assert first.coefficients == (0.1, 0.2, 0.5, 0.6, 0.3, 0.4, 0, 0)
    assert second.coefficients == (0.7, 0, 0, 0, 0, 0, 0.8, 0)
    first, second = lenses(scene_at, tmp_path / "b", {"k1": 0.7, "k2": 0.8}, params)
    assert first.coefficients[:2] == (0.7, 0.8) and second.coefficients[:2] == (0.1, 0.2)
    assert lenses(scene_at, tmp_path / "c", {"k1": 0.1}, {"k1": 0})[1] is None


@pytest.mark.parametrize("model", ["OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE", "RADIAL", "SIMPLE_RADIAL"])
def test_a_lens_without_distortion_is_none(tmp_path, scene_at, model):
    zeros = {"camera_model": model, "k1": 0, "k2": 0.0, "p1": 0.0, "p2": 0, "distortion_params": [0] * 6}
    assert lenses(scene_at, tmp_path / "car", zeros, {}) == [None, None]


def test_a_fisheye_is_one_without_coefficients_too(tmp_path, scene_at):
    for name, said in (("a", {"camera_model": "OPENCV_FISHEYE"}), ("b", {"is_fisheye": True})):
        (lens, _) = lenses(scene_at, tmp_path / name, said, {})
        assert lens.fisheye and lens.coefficients == (0, 0, 0, 0) and lens.fx == pytest.approx(1.2)
    assert lenses(scene_at, tmp_path / "c", {"is_fisheye": True}, {"camera_model": "OPENCV"})[1] is None
