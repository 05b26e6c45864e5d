from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tda_nerfstudio.atlas.atlas import read_atlas
from tda_nerfstudio.atlas.images import read_image
from tda_nerfstudio.atlas.layouts.scene import read_scene
from tda_nerfstudio.base.errors import TdaError


def test_scenes_are_sorted_and_other_folders_ignored(tmp_path, scene_at):
    for name, layout in (("b", "srn"), ("c", "nerfstudio"), ("a", "blender")):
        scene_at(tmp_path / name, layout)
    (tmp_path / "camera_paths").mkdir()
    (tmp_path / ".cache").mkdir()
    (tmp_path / "index.json").write_text("{}")
    atlas = read_atlas(tmp_path)
    assert atlas.names == ("a", "b", "c") and (atlas.width, atlas.height, atlas.broken) == (8, 8, {})
    assert read_atlas(tmp_path, ["!b"], eval_every=2).names == ("a", "c")
    assert len(read_atlas(tmp_path, ["b"], test_views=["rgb/*4.png", "5"]).scenes[0].test) == 2


def test_one_scene_is_an_atlas(tmp_path, scene_at):
    assert read_atlas(scene_at(tmp_path / "car", "nerfstudio")).names == ("car",)


def test_broken_scenes_are_left_out_with_their_reason(tmp_path, scene_at):
    for name in ("a", "b", "c"):
        scene_at(tmp_path / name, "blender")
    (tmp_path / "unknown/images").mkdir(parents=True)
    (tmp_path / "b/rgb/000001.png").unlink()
    wide = scene_at(tmp_path / "wide", "blender")
    for path in (wide / "rgb").iterdir():
        Image.new("RGB", (16, 8)).save(path)
    (wide / "transforms_train.json").write_text(
        (wide / "transforms_train.json").read_text().replace('"w": 8', '"w": 16')
    )
    atlas = read_atlas(tmp_path)
    assert atlas.names == ("a", "c") and sorted(atlas.broken) == ["b", "unknown", "wide"]
    assert atlas.broken["b"].startswith("Scene 'b': Image") and "000001.png is missing" in atlas.broken["b"]
    assert "its images are 16 x 8, most scenes' are 8 x 8: another shape" in atlas.broken["wide"]
    assert "Scene 'unknown'" in atlas.broken["unknown"] and "no known layout" in atlas.broken["unknown"]
    with pytest.raises(TdaError, match=r"No good scene in .*: all 2 are broken. The first: Scene 'b': Image"):
        read_atlas(tmp_path, ["b", "unknown"])


def test_scenes_of_another_size_are_resampled_and_their_cameras_with_them(tmp_path, scene_at):
    for name, size in (("a", 16), ("b", 16), ("large", 48), ("odd", 47)):
        scene_at(tmp_path / name, "srn", size=size)
    atlas = read_atlas(tmp_path)
    assert atlas.names == ("a", "b", "large", "odd") and (atlas.width, atlas.height, atlas.broken) == (16, 16, {})
    fine, coarse = atlas.scenes[2].train, atlas.scenes[0].train
    for name in ("c2w", "fx", "fy", "cx", "cy"):
        torch.testing.assert_close(getattr(fine, name), getattr(coarse, name))
    image = read_image(fine.pictures[1], 16, 16).numpy()
    whole = np.asarray(Image.open(fine.paths[1])).astype(float)
    white = whole[..., :3] * whole[..., 3:] / 255 + 255 - whole[..., 3:]
    assert np.abs(image - white.reshape(16, 3, 16, 3, 3).mean((1, 3))).max() <= 0.51


def test_a_scene_of_another_unit_of_length_is_left_out_of_three(tmp_path, scene_at):
    for name in ("a", "b", "far"):
        scene_at(tmp_path / name, "nerfstudio")
    path = tmp_path / "far/transforms.json"
    content = json.loads(path.read_text())

    def move(times):
        moved = json.loads(json.dumps(content))
        for frame in moved["frames"]:
            for row in frame["transform_matrix"][:3]:
                row[3] *= times
        path.write_text(json.dumps(moved))

    move(1000)
    atlas = read_atlas(tmp_path)
    assert atlas.names == ("a", "b") and list(atlas.broken) == ["far"]
    assert re.fullmatch(
        r"Scene 'far': its cameras are [\d.e+]+ times as far from the middle as the other scenes'."
        " Scale it like the others.",
        atlas.broken["far"],
    )
    assert read_atlas(tmp_path, ["a", "far"]).names == ("a", "far")  # which of two is right is not known
    for times in (15, 0.001):
        move(times)
        assert read_atlas(tmp_path).names == ("a", "b", "far")


def test_indices_count_scenes_alone(tmp_path, scene_at):
    for name in ("b", "d"):
        scene_at(tmp_path / name, "srn")
    for name in ("a_cache", "outputs/b/tda-ae", "camera_paths", "c_broken/rgb"):
        (tmp_path / name).mkdir(parents=True)
    assert read_atlas(tmp_path, ["0:2"]).names == ("b", "d") and read_atlas(tmp_path, ["1"]).names == ("d",)
    assert list(read_atlas(tmp_path).broken) == ["c_broken"]
    with pytest.raises(TdaError, match=r"Index '2' matches no scene. There are 2 scenes, numbered from 0"):
        read_atlas(tmp_path, ["2"])


def test_a_class_folder_with_shared_intrinsics_is_an_atlas(tmp_path, scene_at):
    for name in ("a", "b"):
        scene_at(tmp_path / name, "srn")
    (tmp_path / "intrinsics.txt").write_text((tmp_path / "a/intrinsics.txt").read_text())
    assert read_atlas(tmp_path).names == ("a", "b")


def test_a_folder_that_is_half_a_scene_is_told_its_layout_is_unknown(tmp_path):
    (tmp_path / "car/rgb").mkdir(parents=True)
    with pytest.raises(TdaError, match=r"Scene 'car': .*car has no known layout. Known are blender \(transforms_train"):
        read_atlas(tmp_path / "car")


@pytest.mark.parametrize("name", ["2023-11-02 10:15:30", "a\\b", "line\nbreak", "x" * 201])
def test_a_name_that_no_store_could_keep_breaks_its_scene_alone(tmp_path, scene_at, name):
    scene_at(tmp_path / "a", "blender")
    scene_at(tmp_path / name, "blender")
    atlas = read_atlas(tmp_path)
    assert atlas.names == ("a",)
    assert atlas.broken[name].startswith(
        f"Scene '{name}': no store could keep it under this name. A scene's is 1 to 200"
    )


@pytest.mark.parametrize("name", ["car [v2]", "größe", "o'neil & co 100%", '"quoted"'])
def test_other_names_are_read(tmp_path, scene_at, name):
    scene_at(tmp_path / name, "blender")
    assert read_atlas(tmp_path, [name]).names == (name,)
    assert read_atlas(tmp_path / "x" / ".." / name).names == (name,)


def test_a_folder_that_cannot_be_looked_into_breaks_its_scene_alone(tmp_path, scene_at, monkeypatch):
    for name in ("a", "locked"):
        scene_at(tmp_path / name, "blender")

    def refuse(path, own):
        if "locked" in path.parts[len(tmp_path.parts) :] and path.name != "locked":
            raise PermissionError(13, "Permission denied")
        return own(path)

    own = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda path: refuse(path, own))
    atlas = read_atlas(tmp_path)
    assert atlas.names == ("a",)
    assert "locked cannot be read ([Errno 13] Permission denied)" in atlas.broken["locked"]


def test_notes_are_said_once_for_all_scenes(tmp_path, scene_at):
    for name in ("a", "b", "c"):
        scene_at(tmp_path / name, "nerfstudio")
    for name in ("b", "c"):
        file = tmp_path / name / "transforms.json"
        file.write_text(file.read_text().replace("rgb/", "/home/someone/elsewhere/rgb/"))
    assert read_atlas(tmp_path).notes == [
        "file_path leads elsewhere: the files of the same name in the scene folder are read"
        " (2 of 3 scenes, the first is 'b')."
    ]


def test_missing_and_empty_roots(tmp_path):
    with pytest.raises(TdaError, match=r"The data folder .*none does not exist"):
        read_atlas(tmp_path / "none")
    with pytest.raises(TdaError, match=r"The data folder .* is empty: it holds no scene"):
        read_atlas(tmp_path)


def test_a_folder_of_atlases_names_one(tmp_path, scene_at):
    (tmp_path / "renders").mkdir()
    with pytest.raises(TdaError, match=r"holds no scene: no sub-folder has a known layout. Give a folder with one sub"):
        read_atlas(tmp_path)
    scene_at(tmp_path / "train/car", "srn")
    with pytest.raises(
        TdaError, match=rf"The data folder {tmp_path} holds no scene: .* Give '{tmp_path}/train', which"
    ):
        read_atlas(tmp_path)


def test_vehicles(cars):
    atlas = read_atlas(cars)
    assert len(atlas.scenes) == 56 and not atlas.broken and (atlas.width, atlas.height) == (128, 128)
    assert {(len(scene.train), len(scene.test)) for scene in atlas.scenes} == {(40, 10)}
    splits = f"{cars.parent}/splits.json"
    stages = [read_atlas(cars, [splits], default_key=key).names for key in ("tda-ae", "tda-scenes")]
    assert [len(stage) for stage in stages] == [36, 20] and not set(stages[0]) & set(stages[1])


def test_vehicle_in_srn_layout_reads_back(cars, tmp_path):
    frames = json.loads((cars / "kenney_suv/transforms_train.json").read_text())["frames"]
    folder = tmp_path / "suv"
    for name in ("rgb", "pose"):
        (folder / name).mkdir(parents=True)
    for index, frame in enumerate(frames):
        flipped = [[row[0], -row[1], -row[2], row[3]] for row in frame["transform_matrix"]]
        (folder / f"pose/{index:06d}.txt").write_text(" ".join(str(value) for row in flipped for value in row))
        (folder / f"rgb/{index:06d}.png").write_bytes((cars / "kenney_suv" / frame["file_path"]).read_bytes())
    (folder / "intrinsics.txt").write_text("177.76683865055838 64.0 64.0 0.\n0. 0. 0.\n1.\n128 128\n")
    srn, blender = read_scene(folder, eval_every=0).train, read_scene(cars / "kenney_suv").train
    for name in ("c2w", "fx", "fy", "cx", "cy"):
        torch.testing.assert_close(getattr(srn, name), getattr(blender, name))
