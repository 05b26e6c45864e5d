from __future__ import annotations

import json

import pytest
import torch

from tda_nerfstudio.atlas.atlas import read_atlas
from tda_nerfstudio.atlas.layouts import read_scene
from tda_nerfstudio.core.errors import TdaError


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
    scene_at(tmp_path / "large", "srn", size=16)
    (tmp_path / "unknown").mkdir()
    (tmp_path / "b/rgb/000001.png").unlink()
    atlas = read_atlas(tmp_path)
    assert atlas.names == ("a", "c") and sorted(atlas.broken) == ["b", "large", "unknown"]
    assert atlas.broken["b"].startswith("Scene 'b': Image") and "000001.png is missing" in atlas.broken["b"]
    assert "its images are 16 x 16, most scenes' are 8 x 8" in atlas.broken["large"]
    assert "Scene 'unknown'" in atlas.broken["unknown"] and "no known layout" in atlas.broken["unknown"]
    with pytest.raises(TdaError, match=r"No good scene in .*: all 2 are broken. The first: Scene 'b': Image"):
        read_atlas(tmp_path, ["b", "unknown"])


def test_missing_and_empty_roots(tmp_path):
    with pytest.raises(TdaError, match=r"The data folder .*none does not exist"):
        read_atlas(tmp_path / "none")
    with pytest.raises(TdaError, match=r"The data folder .* is empty: it holds no scene"):
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
