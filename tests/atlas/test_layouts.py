from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
import torch
from PIL import Image

from tda_nerfstudio.atlas import selection
from tda_nerfstudio.atlas.layouts import scene as scene_reader
from tda_nerfstudio.atlas.layouts.frames import Frame
from tda_nerfstudio.atlas.layouts.scene import has_layout, looks_meant, read_scene
from tda_nerfstudio.base.errors import TdaError


def edit(folder, change, file="transforms_train.json"):
    content = json.loads((folder / file).read_text())
    change(content)
    (folder / file).write_text(json.dumps(content))


def names(views):
    return [path.name for path in views.paths]


def test_same_cameras_in_three_layouts_read_back_equal(tmp_path, scene_at):
    scenes = [read_scene(scene_at(tmp_path / layout, layout)) for layout in ("blender", "nerfstudio", "srn")]
    for scene in scenes:
        assert (scene.width, scene.height, len(scene.train), len(scene.test)) == (8, 8, 5, 1)
        assert names(scene.test) == ["000000.png"]  # every 8th, the first included
        for name in ("c2w", "fx", "fy", "cx", "cy"):
            torch.testing.assert_close(getattr(scene.train, name), getattr(scenes[0].train, name), atol=1e-6, rtol=0)
    views = scenes[2].train
    assert views.c2w.dtype == torch.float32 and views.c2w.shape == (5, 3, 4)
    assert views.fx.tolist() == pytest.approx([9.6] * 5) and views.cx.tolist() == [4.0] * 5
    # OpenGL: the camera looks along -z, here at the origin from 2 units away.
    torch.testing.assert_close(views.c2w[:, :, 3] - 2 * views.c2w[:, :, 2], torch.zeros(5, 3), atol=1e-5, rtol=0)


def test_a_new_layout_is_one_entry_of_the_list(tmp_path, scene_at, monkeypatch):
    known = scene_at(tmp_path / "car", "srn")
    expected = read_scene(known).train
    (known / "intrinsics.txt").unlink()
    (known / "pose").rename(known / "moves")
    assert not has_layout(known)

    class Walk:
        NAME, TRACES = "walk (moves/)", ("mov?s",)

        @staticmethod
        def matches(folder):
            return (folder / "moves").is_dir()

        @staticmethod
        def read(folder):
            frames = []
            for path in (folder / "moves").iterdir():
                pose = np.array(path.read_text().split(), float).reshape(4, 4) * [1, -1, -1, 1]
                frames.append(Frame(f"rgb/{path.stem}.png", pose, {"fl_x": 9.6}, path.name, "this test"))
            return frames, None

    monkeypatch.setattr(scene_reader, "LAYOUTS", (*scene_reader.LAYOUTS, Walk))
    found = read_scene(known).train
    assert found.paths == expected.paths and torch.equal(found.c2w, expected.c2w)
    (tmp_path / "other/moves").mkdir(parents=True)
    assert looks_meant(tmp_path / "other") and not looks_meant(tmp_path)


@pytest.mark.parametrize("layout", ["blender", "nerfstudio"])
def test_split_named_by_the_files(tmp_path, scene_at, layout):
    scene = read_scene(scene_at(tmp_path / "car", layout, held_out=2))
    assert names(scene.train) == [f"{index:06d}.png" for index in range(4)]
    assert names(scene.test) == ["000004.png", "000005.png"]


def test_val_is_the_test_split_only_without_test(tmp_path, scene_at):
    folder = scene_at(tmp_path / "car", "blender", held_out=2)
    (folder / "transforms_test.json").rename(folder / "transforms_val.json")
    assert names(read_scene(folder).test) == ["000004.png", "000005.png"]


def test_train_filenames_alone_leave_the_rest_to_test(tmp_path, scene_at):
    folder = scene_at(tmp_path / "car", "nerfstudio")
    edit(folder, lambda c: c.update(train_filenames=["rgb/000001.png", "./rgb/000003.png"]), "transforms.json")
    scene = read_scene(folder)
    assert names(scene.train) == ["000001.png", "000003.png"] and len(scene.test) == 4


@pytest.mark.parametrize(("every", "test"), [(2, [0, 2, 4]), (5, [0, 5]), (0, [])])
def test_every_kth_view_is_test(tmp_path, scene_at, every, test):
    scene = read_scene(scene_at(tmp_path / "car", "srn"), eval_every=every)
    assert names(scene.test) == [f"{index:06d}.png" for index in test]
    assert len(scene.train) == 6 - len(test)


def test_chosen_test_views_replace_the_files_split(tmp_path, scene_at):
    folder = scene_at(tmp_path / "car", "blender", held_out=2)
    assert names(read_scene(folder, test_views=["0:2", "rgb/*3.png"]).test) == [
        "000000.png",
        "000001.png",
        "000003.png",
    ]
    with pytest.raises(TdaError, match=r"Scene 'car': Unknown view 'rgb/00001.png'. Did you mean 'rgb/000001.png'\?"):
        read_scene(folder, test_views=["rgb/00001.png"])


def test_angle_missing_extension_and_order(tmp_path, scene_at):
    folder = scene_at(tmp_path / "car", "blender")

    def change(content):
        frames = [{**frame, "file_path": "./" + frame["file_path"][:-4]} for frame in content["frames"]]
        content.clear()
        content.update(camera_angle_x=math.pi / 2, frames=frames[::-1])

    edit(folder, change)
    scene = read_scene(folder, eval_every=0)
    assert names(scene.train) == [f"{index:06d}.png" for index in range(6)]
    assert scene.train.fx.tolist() == pytest.approx([4.0] * 6) == scene.train.fy.tolist()
    assert scene.train.cy.tolist() == [4.0] * 6


@pytest.mark.parametrize(("key", "value"), [("fl_y", 5.0), ("camera_angle_y", 2 * math.atan(0.8)), ("fl_x", 5.0)])
def test_one_focal_length_alone_is_for_square_pixels(tmp_path, scene_at, key, value):
    folder = scene_at(tmp_path / "car", "blender")
    edit(folder, lambda c: (c.pop("fl_x"), c.pop("fl_y"), c.update({key: value})))
    views = read_scene(folder).train
    assert views.fx.tolist() == pytest.approx([5.0] * 5) == views.fy.tolist()


@pytest.mark.parametrize("layout", ["blender", "nerfstudio", "srn"])
def test_a_byte_order_mark_is_no_content(tmp_path, scene_at, layout):
    folder = scene_at(tmp_path / "car", layout)
    before = read_scene(folder).train
    for path in [*folder.glob("*.json"), *folder.glob("*.txt"), *folder.glob("pose/*.txt")]:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    after = read_scene(folder).train
    assert torch.equal(after.c2w, before.c2w) and torch.equal(after.fx, before.fx)


@pytest.mark.parametrize("fisheye", [False, None])
def test_is_fisheye_may_say_no(tmp_path, scene_at, fisheye):
    folder = scene_at(tmp_path / "car", "blender")
    edit(folder, lambda c: c.update(is_fisheye=fisheye))
    assert read_scene(folder).train.pictures[0].lens is None


def test_intrinsics_of_one_frame_win(tmp_path, scene_at):
    folder = scene_at(tmp_path / "car", "nerfstudio")
    edit(folder, lambda c: c["frames"][3].update(fl_x=20.0, cx=3.5), "transforms.json")
    views = read_scene(folder, eval_every=0).train[[3, 2]]
    assert views.fx.tolist() == pytest.approx([20.0, 9.6]) and views.cx.tolist() == [3.5, 4.0]
    assert names(views) == ["000003.png", "000002.png"]


def frame(**changes):
    return lambda content: content["frames"][1].update(changes)


def pose(row, column, value):
    return lambda content: content["frames"][1]["transform_matrix"][row].__setitem__(column, value)


def scale(factors):
    def change(content):
        matrix = np.array(content["frames"][1]["transform_matrix"]) * [*factors, 1]
        content["frames"][1]["transform_matrix"] = matrix.tolist()

    return change


BAD = {
    "no frames": (lambda c: c.update(frames=[]), "has no frames"),
    "frames of another kind": (lambda c: c.update(frames=3), "must be an object with a list 'frames'"),
    "missing image": (frame(file_path="rgb/none.png"), "rgb/none.png is missing"),
    "no file path": (frame(file_path=None), "file_path None is not a file path"),
    "absolute": (frame(file_path="/etc/a.png"), "file_path '/etc/a.png' leads out of the scene folder and is refused"),
    "drive": (frame(file_path="C:\\a.png"), "leads out of the scene folder and is refused"),
    "parent": (frame(file_path="rgb/../../b.png"), "leads out of the scene folder and is refused"),
    "twice": (frame(file_path="rgb/000000.png"), "Image 'rgb/000000.png' is listed twice"),
    "NaN pose": (pose(0, 3, math.nan), "the pose of 'rgb/000001.png' is not finite"),
    "short pose": (frame(transform_matrix=[[1, 0], [0, 1]]), "is not a 4 x 4 matrix"),
    "ragged pose": (frame(transform_matrix=[[1, 0], [0]]), "is not a 4 x 4 matrix"),
    "no pose": (frame(transform_matrix=None), "is not a 4 x 4 matrix"),
    "endless number": (pose(0, 3, 10**400), "is not a 4 x 4 matrix"),
    "scaled": (scale((1.01, 1.01, 1.01)), "the pose of 'rgb/000001.png' is not rigid"),
    "projective": (pose(3, 0, 0.1), "the pose of 'rgb/000001.png' is not rigid"),
    "reflected": (scale((1, 1, -1)), "is a reflection (determinant -1)"),
    "zero focal": (lambda c: c.update(fl_x=0), "fl_x of 'rgb/000000.png' is 0; it must be positive and finite"),
    "negative focal": (lambda c: c.update(fl_y=-9.0), "fl_y of 'rgb/000000.png' is -9.0"),
    "infinite centre": (lambda c: c.update(cx=math.inf), "cx of 'rgb/000000.png' is inf"),
    "vanishing focal": (
        lambda c: c.update(fl_x=1e-300),
        "'rgb/000000.png' has a focal length in x that is 1.25e-301 times its image's side; it must be 0.001 to 10000",
    ),
    "endless focal": (
        lambda c: (c.pop("fl_y"), c.update(camera_angle_y=1e-300)),
        "has a focal length in y that is 1e+300 times its image's side",
    ),
    "angle of pi": (
        lambda c: (c.pop("fl_x"), c.update(camera_angle_x=3.1415926)),
        "focal length in x that is 1.34e-08",
    ),
    "far centre": (
        lambda c: c.update(cy=8.1e4),
        "has cy that is 1.012e+04 times its image's side; it must be at most 10000",
    ),
    "vanishing size": (lambda c: c.update(w=1e-320, h=1e-320), "has a focal length in x that is inf times"),
    "fisheye as text": (lambda c: c.update(is_fisheye="false"), "has is_fisheye 'false'; it must be true or false"),
    "fisheye as number": (frame(is_fisheye=1), "'rgb/000001.png' has is_fisheye 1; it must be true or false"),
    "half a character": (frame(file_path="rgb/\ud800.png"), r"file_path 'rgb/\ud800.png' is not a file path"),
    "half a character's mask": (frame(mask_path="\ud800.png"), r"mask_path '\ud800.png' is not a file path"),
    "zero character": (frame(file_path="rgb/\0.png"), r"file_path 'rgb/\x00.png' is not a file path"),
    "text": (lambda c: c.update(cy="4"), "cy of 'rgb/000000.png' is '4', not a number"),
    "no intrinsics": (lambda c: (c.pop("fl_x"), c.pop("fl_y")), "has neither fl_x nor camera_angle_x"),
    "angle": (lambda c: (c.pop("fl_x"), c.update(camera_angle_x=0)), "camera_angle_x of 'rgb/000000.png' is 0"),
    "model": (lambda c: c.update(camera_model="EQUIRECTANGULAR"), "has the camera_model EQUIRECTANGULAR, which is not"),
    "another model": (frame(camera_model="FISHEYE624"), "'rgb/000001.png' has the camera_model FISHEYE624"),
    "distortion as text": (lambda c: c.update(k1="0"), "k1 is '0', not a number, for 'rgb/000000.png'"),
    "endless distortion": (lambda c: c.update(p2=math.inf), "p2 is inf, not finite"),
    "few parameters": (lambda c: c.update(distortion_params=[0.1]), "they must be k1 k2 k3 k4 p1 p2"),
    "a bent fisheye": (lambda c: c.update(camera_model="OPENCV_FISHEYE", p1=0.1), "OPENCV_FISHEYE with p1, p2"),
    "vertical angle": (
        lambda c: (c.pop("fl_y"), c.update(camera_angle_y=4)),
        "camera_angle_y of 'rgb/000000.png' is 4",
    ),
    "size as text": (lambda c: c.update(w="8"), "w of 'rgb/000000.png' is '8', not a number"),
    "format": (frame(file_path="rgb/000001.exr"), "file_path 'rgb/000001.exr': format .exr is not supported"),
    "transposed": (
        lambda c: c["frames"][1].update(transform_matrix=np.transpose(c["frames"][1]["transform_matrix"]).tolist()),
        "the pose of 'rgb/000001.png' looks transposed: its last row is (",
    ),
    "size": (lambda c: c.update(w=16), "Image 'rgb/000000.png' is 8 x 8, but transforms_train.json says it is 16 x 8"),
    "missing mask": (frame(mask_path="rgb/mask.png"), "rgb/mask.png is missing"),
    "mask elsewhere": (frame(mask_path="../mask.png"), "mask_path '../mask.png' leads out of the scene folder"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_transforms_name_scene_and_file(tmp_path, scene_at, name):
    change, message = BAD[name]
    folder = scene_at(tmp_path / "car", "blender")
    edit(folder, change)
    with pytest.raises(TdaError, match=r"^Scene 'car': .*" + re.escape(message)):
        read_scene(folder)


def test_bad_json(tmp_path, scene_at, monkeypatch):
    folder = scene_at(tmp_path / "car", "blender")
    monkeypatch.setattr(selection, "JSON_LIMIT", 100)
    with pytest.raises(TdaError, match=r"transforms_train.json has 0 MB, more than the limit"):
        read_scene(folder)
    for text in (b"{'frames'", b"\xff\xfe", b"[" * 100_000):
        monkeypatch.undo()
        (folder / "transforms_train.json").write_bytes(text)
        with pytest.raises(TdaError, match=r"Scene 'car': .*transforms_train.json is not valid JSON"):
            read_scene(folder)


def test_bad_images(tmp_path, scene_at):
    folder = scene_at(tmp_path / "car", "blender")
    image = folder / "rgb/000002.png"
    content = image.read_bytes()
    image.write_bytes(content[:-20])
    with pytest.raises(TdaError, match=r"Scene 'car': Image .*rgb/000002.png is truncated"):
        read_scene(folder)
    Image.new("RGB", (9, 8)).save(image)
    edit(folder, lambda content: (content.pop("w"), content.pop("h")))
    with pytest.raises(
        TdaError, match=r"'rgb/000002.png' is 9 x 8, but most are 8 x 8: another shape, not another size"
    ):
        read_scene(folder)
    (tmp_path / "elsewhere.png").write_bytes(content)
    image.unlink()
    image.symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(TdaError, match=r"'rgb/000002.png' is a link that leads out of the scene folder and is refused"):
        read_scene(folder)


def test_links_to_the_scene_and_inside_it_are_followed(tmp_path, scene_at):
    folder = scene_at(tmp_path / "elsewhere/car", "blender")
    (folder / "rgb/000002.png").unlink()
    (folder / "rgb/000002.png").symlink_to("000001.png")
    (tmp_path / "linked").symlink_to(folder)
    assert read_scene(tmp_path / "linked").name == "linked"


def test_nothing_to_train_on_and_no_layout(tmp_path, scene_at):
    with pytest.raises(TdaError, match="Scene 'car': none of its 6 views is left to train on"):
        read_scene(scene_at(tmp_path / "car", "srn"), eval_every=1)
    with pytest.raises(TdaError, match=r"no known layout. Known are blender .*, nerfstudio .* or ShapeNet-SRN"):
        read_scene(tmp_path)
    assert not has_layout(tmp_path) and has_layout(tmp_path / "car")


def test_bad_nerfstudio_lists(tmp_path, scene_at):
    folder = scene_at(tmp_path / "car", "nerfstudio", held_out=2)
    edit(folder, lambda c: c["test_filenames"].append("rgb/000000.png"), "transforms.json")
    with pytest.raises(TdaError, match="'rgb/000000.png' is both a train and a test view"):
        read_scene(folder)
    edit(folder, lambda c: c.update(test_filenames=["rgb/9.png"]), "transforms.json")
    with pytest.raises(TdaError, match="test_filenames lists 'rgb/9.png', which is no frame's file_path"):
        read_scene(folder)
    edit(folder, lambda c: c.update(test_filenames="rgb"), "transforms.json")
    with pytest.raises(TdaError, match="test_filenames must be a list"):
        read_scene(folder)


def test_bad_srn(tmp_path, scene_at):
    folder = scene_at(tmp_path / "car", "srn")
    for file, text, message in (
        ("pose/000001.txt", "1 2 3", "pose/000001.txt holds 3 numbers; a pose has 16"),
        ("pose/000001.txt", "a " * 16, "pose/000001.txt must hold numbers only"),
        ("pose/000001.txt", "nan " * 16, "pose/000001.txt: the pose of 'rgb/000001.png' is not finite"),
        ("pose/000001.txt", None, "pose/000001.txt is missing"),
        ("intrinsics.txt", "9.6 4 4 0", "intrinsics.txt must start with a line 'f cx cy 0'"),
        ("intrinsics.txt", "0 4 4 0\n8 8", "fl_x of 'rgb/000000.png' is 0.0"),
        ("intrinsics.txt", "9.6 4 4 0\n16 8", "is 8 x 8, but intrinsics.txt says it is 8 x 16: another shape"),
        ("intrinsics.txt", None, "intrinsics.txt is missing"),
        ("rgb/000003.png", None, "000003.png is missing"),
    ):
        before = (folder / file).read_bytes()
        (folder / file).unlink()
        if text is not None:
            (folder / file).write_text(text)
        with pytest.raises(TdaError, match=r"^Scene 'car': .*" + re.escape(message)):
            read_scene(folder)
        (folder / file).write_bytes(before)
    assert len(read_scene(folder).train) == 5
