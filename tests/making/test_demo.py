"""The embedded demo class: any number of vehicles from a seed, in blender layout."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tda_nerfstudio.atlas.atlas import read_atlas
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.demo import write_demo_atlas
from tda_nerfstudio.making.procedural.vehicles import GROUND, SHAPES, vehicle
from tda_nerfstudio.making.writing import camera_sphere

SMALL = {"train_views": 3, "test_views": 2, "size": 16}


def files(folder: Path) -> dict[str, bytes]:
    """Contents of all files below a folder, by relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """Four small vehicles, not to be changed."""
    return write_demo_atlas(tmp_path_factory.mktemp("demo") / "atlas", scenes=4, **SMALL)


def test_what_is_written_reads_back(four):
    atlas = read_atlas(four)
    assert atlas.names == ("vehicle_0000", "vehicle_0001", "vehicle_0002", "vehicle_0003") and not atlas.broken
    assert (atlas.width, atlas.height) == (16, 16)
    for index, scene in enumerate(atlas.scenes):
        for k, views in enumerate((scene.train, scene.test)):
            expected = torch.tensor(camera_sphere((3, 2)[k], (0, index, k))).float()
            torch.testing.assert_close(views.c2w.float(), expected, rtol=0, atol=1e-6)
            focal = 8 / math.tan(math.radians(39.6 / 2))
            for values, wanted in ((views.fx, focal), (views.fy, focal), (views.cx, 8.0), (views.cy, 8.0)):
                assert values.tolist() == pytest.approx([wanted] * (3, 2)[k], rel=1e-6)


def test_every_picture_shows_a_whole_vehicle(four):
    from PIL import Image

    for path in four.rglob("*.png"):
        with Image.open(path) as image:
            alpha = np.array(image.convert("RGBA"))[..., 3]
            assert image.mode == "RGBA" and image.size == (16, 16)
        border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
        assert not border.any() and 0.05 < (alpha > 127).mean() < 0.6


def test_a_scene_does_not_depend_on_how_many_are_made(four, tmp_path):
    fewer = write_demo_atlas(tmp_path, scenes=2, **SMALL)
    assert files(fewer / "vehicle_0001") == files(four / "vehicle_0001")
    assert files(write_demo_atlas(tmp_path, scenes=4, **SMALL)) == files(four)


def test_the_same_seed_gives_the_same_bytes(four, tmp_path):
    np.random.seed(1)
    assert files(write_demo_atlas(tmp_path, scenes=4, **SMALL)) == files(four)


def test_another_seed_gives_other_vehicles_and_cameras(four, tmp_path):
    other = write_demo_atlas(tmp_path, scenes=1, seed=1, **SMALL)
    ours, theirs = files(four / "vehicle_0000"), files(other / "vehicle_0000")
    assert ours.keys() == theirs.keys() and not [name for name in ours if ours[name] == theirs[name]]
    assert not np.array_equal(vehicle(0, 0).vertices, vehicle(1, 0).vertices)


def test_views_of_a_scene_differ(four):
    pictures = [content for name, content in files(four).items() if name.endswith(".png")]
    assert len(pictures) == 4 * 5 == len(set(pictures))


def test_an_interrupted_call_is_completed(four, tmp_path):
    write_demo_atlas(tmp_path, scenes=4, **SMALL)
    kept = tmp_path / "vehicle_0000/train/r_000.png"
    before = kept.stat().st_mtime_ns
    (tmp_path / "vehicle_0002").rename(tmp_path / ".vehicle_0002.tmp")
    (tmp_path / ".vehicle_0002.tmp/train/r_001.png").write_bytes(b"half a pic")
    (tmp_path / ".vehicle_0002.tmp/stray").write_bytes(b"")
    (tmp_path / "splits.json").unlink()
    write_demo_atlas(tmp_path, scenes=4, **SMALL)
    assert files(tmp_path) == files(four) and kept.stat().st_mtime_ns == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("change", [{"size": 24}, {"train_views": 4}, {"test_views": 1}, {"seed": 2}])
def test_other_sizes_in_a_folder_that_has_scenes_are_refused(four, change):
    before = files(four)
    with pytest.raises(TdaError, match="vehicle_0000 exists already and was not made with these options") as caught:
        write_demo_atlas(four, scenes=5, **(SMALL | change))
    assert "Name another folder, or remove that one" in str(caught.value)
    assert files(four) == before


@pytest.mark.parametrize("recipe", [None, "{", "[]"])
def test_a_folder_of_that_name_from_elsewhere_is_refused(tmp_path, recipe):
    (tmp_path / "vehicle_0001").mkdir()
    if recipe is not None:
        (tmp_path / "vehicle_0001/recipe.json").write_text(recipe)
    with pytest.raises(TdaError, match="vehicle_0001 exists already"):
        write_demo_atlas(tmp_path, scenes=2, **SMALL)
    assert not (tmp_path / "vehicle_0000").exists()


def test_a_seed_below_0_is_refused(tmp_path):
    with pytest.raises(TdaError, match="--seed must be at least 0, not -1"):
        write_demo_atlas(tmp_path / "new", scenes=1, **SMALL, seed=-1)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("sizes", [{"scenes": 0}, {"train_views": 0}, {"test_views": 0}, {"size": 7}])
def test_sizes_that_make_no_sense_are_refused(tmp_path, sizes):
    with pytest.raises(TdaError, match="at least 1 scene, 1 training and 1 held-out view and 8 pixels"):
        write_demo_atlas(tmp_path / "new", **({"scenes": 1} | SMALL | sizes))
    assert not (tmp_path / "new").exists()


def test_stages_get_different_scenes(four):
    splits = json.loads((four / "splits.json").read_text())
    assert splits["tda-ae"] == ["vehicle_0000", "vehicle_0001", "vehicle_0002"]
    assert splits["tda-scenes"] == splits["tda-rgb"] == ["vehicle_0003"]
    assert read_atlas(four, [str(four / "splits.json")], default_key="tda-scenes").names == ("vehicle_0003",)


@pytest.mark.parametrize("scenes", [2, 3, 5])
def test_splits_are_disjoint_and_complete(tmp_path, scenes, monkeypatch):
    from tda_nerfstudio.making import demo

    monkeypatch.setattr(demo, "write_scene", lambda *_: None)
    splits = json.loads((write_demo_atlas(tmp_path, scenes=scenes) / "splits.json").read_text())
    first, second = splits["tda-ae"], splits["tda-scenes"]
    assert len(first) == scenes * 3 // 4 and not set(first) & set(second)
    assert first + second == [f"vehicle_{i:04d}" for i in range(scenes)]


def test_one_scene_serves_both_stages(tmp_path, monkeypatch):
    from tda_nerfstudio.making import demo

    monkeypatch.setattr(demo, "write_scene", lambda *_: None)
    splits = json.loads((write_demo_atlas(tmp_path, scenes=1) / "splits.json").read_text())
    assert splits["tda-ae"] == splits["tda-scenes"] == ["vehicle_0000"]


@pytest.mark.parametrize("index", range(24))
def test_all_vehicles_stand_alike(index):
    mesh = vehicle(0, index)
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    size = high - low
    assert size.argmax() == 0 and size[0] == pytest.approx(1)  # front to back along x
    np.testing.assert_allclose((low + high)[:2], 0, atol=1e-12)
    assert low[2] == pytest.approx(GROUND) and 0.2 < size[2] < 0.6 and 0.25 < size[1] < 0.6
    assert (np.abs(mesh.vertices) <= 0.5 + 1e-12).all()
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=-1), 1, atol=1e-6)
    assert mesh.colours.min() >= 0 and mesh.colours.max() <= 1
    assert mesh.faces.min() >= 0 and mesh.faces.max() < len(mesh.vertices)
    assert len(mesh.faces) == len(mesh.normals) == len(mesh.colours)


def test_lamps_are_in_front_and_brake_lights_behind():
    from tda_nerfstudio.making.procedural.vehicles import BRAKE, LAMP

    for index in range(len(SHAPES)):
        mesh = vehicle(0, index)
        centres = mesh.vertices[mesh.faces].mean(1)
        assert centres[(mesh.colours == LAMP).all(1), 0].min() > 0.4
        assert centres[(mesh.colours == BRAKE).all(1), 0].max() < -0.4


def test_wheels_touch_the_ground_on_both_sides():
    for index in range(len(SHAPES)):
        touching = vehicle(0, index).vertices
        touching = touching[touching[:, 2] < GROUND + 1e-3]
        assert {(x > 0, y > 0) for x, y, _ in touching} == {(x, y) for x in (False, True) for y in (False, True)}


def test_the_first_vehicles_are_of_all_kinds():
    meshes = [vehicle(0, index) for index in range(len(SHAPES))]
    assert len({mesh.vertices.shape + tuple(np.ptp(mesh.vertices, axis=0).round(3)) for mesh in meshes}) == len(SHAPES)


def test_a_vehicle_is_the_same_each_time():
    for first, second in zip(vehicle(3, 11), vehicle(3, 11), strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_command_needs_no_nerfstudio(tmp_path):
    code = (
        "import sys; from pathlib import Path; import tda_nerfstudio.making.demo as demo;"
        f"demo.write_demo_atlas(Path({str(tmp_path / 'out')!r}), scenes=1, train_views=1, test_views=1, size=8);"
        "assert not {'nerfstudio', 'diffusers', 'trimesh'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "out/vehicle_0000/test/r_000.png").is_file()
