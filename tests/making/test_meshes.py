"""Folders of models as atlases."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from make_models import QUAD, png, quad_glb

from tda_nerfstudio.atlas.atlas import read_atlas
from tda_nerfstudio.atlas.images import read_alpha, read_image
from tda_nerfstudio.atlas.layouts.scene import read_scene
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making import meshes
from tda_nerfstudio.making.meshes import LIGHT, Look, write_mesh_atlas
from tda_nerfstudio.making.models.files import fit, read_model
from tda_nerfstudio.making.raycast import Raycaster

SMALL = Look(train_views=3, test_views=2, size=16)


@pytest.fixture
def models(tmp_path) -> Path:
    """A red square, one twice as large in a sub-folder, and a file that is no model."""
    folder = tmp_path / "models"
    (folder / "sub").mkdir(parents=True)
    half = {"POSITION": (np.array(QUAD["POSITION"]) / 2).tolist()}
    quad_glb(folder / "small.glb", {"pbrMetallicRoughness": {"baseColorFactor": [1, 0, 0, 1]}}, quad=half)
    quad_glb(folder / "sub/large.glb")
    (folder / "broken.obj").write_text("f 1 2 3\n")
    (folder / "readme.txt").write_text("not a model")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_good_model_becomes_a_scene_and_bad_ones_are_named(models, tmp_path):
    good, broken = write_mesh_atlas(models, tmp_path / "out", SMALL, workers=1)
    assert good == ["small", "sub_large"] and list(broken) == ["broken"]
    assert broken["broken"].startswith(f"Model {models}/broken.obj: Line 1 names a vertex that is not there")
    atlas = read_atlas(tmp_path / "out")
    assert atlas.names == ("small", "sub_large") and not atlas.broken
    for scene in atlas.scenes:
        assert (len(scene.train), len(scene.test), scene.width, scene.height) == (3, 2, 16, 16)
    np.testing.assert_allclose(np.linalg.norm(atlas.scenes[0].train.c2w[:, :, 3], axis=1), 1.9, atol=1e-6)
    assert not np.allclose(atlas.scenes[0].train.c2w, atlas.scenes[1].train.c2w)


def test_scenes_do_not_depend_on_the_others_nor_on_processes(models, tmp_path):
    write_mesh_atlas(models, tmp_path / "one", SMALL, workers=2)
    (models / "small.glb").rename(models / "zebra.glb")
    write_mesh_atlas(models, tmp_path / "two", SMALL, workers=1)
    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    assert {name for name in one if name in two and one[name] == two[name]} == {n for n in one if n.startswith("sub")}


def test_an_interrupted_call_is_completed(models, tmp_path):
    out = tmp_path / "out"
    write_mesh_atlas(models, out, SMALL, workers=1)
    before, kept = files(out), (out / "small/train/r_000.png").stat().st_mtime_ns
    (out / "sub_large").rename(out / ".sub_large.tmp")
    (out / ".sub_large.tmp/test/r_001.png").write_bytes(b"half a pic")
    assert write_mesh_atlas(models, out, SMALL, workers=1)[0] == ["small", "sub_large"]
    assert files(out) == before and (out / "small/train/r_000.png").stat().st_mtime_ns == kept


@pytest.mark.parametrize("change", [{"size": 24}, {"seed": 1}, {"normalise": "none"}, {"front": "-z"}, {"model": True}])
def test_a_folder_made_in_another_way_or_of_other_models_is_refused(models, tmp_path, change):
    out = tmp_path / "out"
    write_mesh_atlas(models, out, SMALL, workers=1)
    before = files(out)
    if change.pop("model", None):
        quad_glb(models / "small.glb")
    with pytest.raises(
        TdaError, match=r"small exists already and was not made with these options \(.* was .*\)\. Name"
    ):
        write_mesh_atlas(models, out, Look(**{"train_views": 3, "test_views": 2, "size": 16} | change), workers=1)
    assert files(out) == before


def widths(out: Path) -> list[float]:
    """How wide each scene's square is, in world units: its largest area in pixels is seen nearly frontally."""
    areas = []
    for scene in read_atlas(out).scenes:
        alphas = [read_alpha(path) for path in (*scene.train.paths, *scene.test.paths)]
        areas.append(max(float((alpha / 255.0).sum()) for alpha in alphas if alpha is not None))
    return np.sqrt(areas).tolist()


def test_models_are_normalised_each_or_alike_or_not_at_all(models, tmp_path):
    for normalise, ratio in (("model", 1.0), ("class", 0.5), ("none", 0.5)):
        look = Look(train_views=24, test_views=1, size=32, normalise=normalise)
        write_mesh_atlas(models, tmp_path / normalise, look, workers=1)
        small, large = widths(tmp_path / normalise)
        assert small / large == pytest.approx(ratio, rel=0.12), normalise
    recipes = [json.loads((tmp_path / f"{name}/small/recipe.json").read_text()) for name in ("model", "class", "none")]
    largest = pytest.approx(0.62 / np.sqrt(0.5))  # its corners lie that far from its middle
    assert [recipe["scale"] for recipe in recipes] == [None, largest, None]


def test_bad_models_are_named_when_a_class_is_measured_too(models, tmp_path):
    good, broken = write_mesh_atlas(models, tmp_path / "out", Look(1, 1, 8, normalise="class"), workers=1)
    assert good == ["small", "sub_large"] and "Line 1 names a vertex" in broken["broken"]


def test_poses_of_another_atlas_are_taken_scene_by_scene(models, tmp_path, scene_at):
    scene_at(tmp_path / "atlas/small", "nerfstudio", count=5, size=12, held_out=2)
    look = Look(poses=str(tmp_path / "atlas"))
    good, broken = write_mesh_atlas(models, tmp_path / "out", look, workers=1)
    assert good == ["small"]
    assert broken["sub_large"] == f"{tmp_path}/atlas has no scene 'sub_large' to take poses from."
    theirs, ours = read_scene(tmp_path / "atlas/small"), read_scene(tmp_path / "out/small")
    assert (ours.width, ours.height, len(ours.train), len(ours.test)) == (12, 12, 3, 2)
    for mine, other in ((ours.train, theirs.train), (ours.test, theirs.test)):
        for key in ("c2w", "fx", "fy", "cx", "cy"):
            np.testing.assert_allclose(getattr(mine, key), getattr(other, key), atol=1e-6)


def test_two_models_of_one_name_are_told_apart(models, tmp_path):
    quad_glb(models / "sub_large.glb")
    good, broken = write_mesh_atlas(models, tmp_path / "out", Look(1, 1, 8), workers=1)
    assert good == ["small", "sub_large"] and len(broken) == 2
    assert "scene 'sub_large' is " in broken["sub_large.glb"] and "Rename one of them." in broken["sub_large.glb"]


def test_models_may_share_textures_inside_the_folder(models, tmp_path):
    (models / "skin.png").write_bytes(png([[[0, 0, 255]]]))
    (models / "sub/a.mtl").write_text("newmtl skin\nmap_Kd ../skin.png\n")
    (models / "sub/a.obj").write_text("mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nusemtl skin\nf 1/1 2/1 3/1\n")
    assert "sub_a" in write_mesh_atlas(models, tmp_path / "out", Look(1, 1, 8), workers=1)[0]


def test_a_model_that_may_not_be_read_is_named(models, tmp_path, monkeypatch):
    opened = Path.open

    def deny(path, *words, **options):
        if path.name == "large.glb":
            raise PermissionError(13, "Permission denied")
        return opened(path, *words, **options)

    monkeypatch.setattr(Path, "open", deny)
    good, broken = write_mesh_atlas(models, tmp_path / "out", Look(1, 1, 8), workers=1)
    assert good == ["small"]
    assert "The file cannot be read (Permission denied). Change its permissions or copy it." in broken["sub_large"]


def test_surprises_in_one_model_leave_the_others_alone(models, tmp_path, monkeypatch):
    def read(path, *_):
        return read_model(path) if path.stem == "small" else [][1]

    monkeypatch.setattr(meshes, "read_model", read)
    good, broken = write_mesh_atlas(models, tmp_path / "out", Look(1, 1, 8), workers=1)
    assert good == ["small"]
    assert broken["sub_large"] == (
        f"Model {models}/sub/large.glb cannot be read (IndexError: list index out of range). Export it again."
    )


def test_what_makes_no_atlas_is_refused(models, tmp_path):
    (tmp_path / "empty").mkdir()
    cases = {
        "/none does not exist. Give a model or a folder of models [(].glb, .gltf, .obj, .ply[)].$": (
            tmp_path / "none",
            SMALL,
        ),
        "The folder .*/empty holds no model. Known formats are .glb, .gltf, .obj, .ply.": (tmp_path / "empty", SMALL),
        "at least 1 training and 1 held-out view and 8 pixels, not 0 [+] 10 views and 128": (models, Look(0)),
        "--seed must be at least 0, not -1": (models, Look(seed=-1)),
        "up 'y' and front 'y' must be two different axes": (models, Look(front="y")),
    }
    for message, (folder, look) in cases.items():
        with pytest.raises(TdaError, match=message):
            write_mesh_atlas(folder, tmp_path / "out", look)
    (models / "small.glb").unlink()
    (models / "sub/large.glb").unlink()
    with pytest.raises(
        TdaError, match="No model in .* could be rendered, of 1. The first: Model .*broken.obj: Line 1 names"
    ):
        write_mesh_atlas(models, tmp_path / "out", SMALL)


def test_hidden_models_and_folders_are_passed_over(models, tmp_path):
    quad_glb(models / ".hidden.glb")
    (models / ".cache").mkdir()
    quad_glb(models / ".cache/a.glb")
    good, broken = write_mesh_atlas(models, tmp_path / "out", Look(1, 1, 8), workers=1)
    assert good == ["small", "sub_large"] and list(broken) == ["broken"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == good


def test_one_model_is_one_scene(models, tmp_path):
    good, broken = write_mesh_atlas(models / "sub/large.glb", tmp_path / "out", Look(1, 1, 8))
    assert (good, broken) == (["large"], {})
    assert read_atlas(tmp_path / "out").names == ("large",)
    quad_glb(models / ".a.glb")
    for name, reason in {".a.glb": "no scene may be called '.a'", "readme.txt": "Its format is not known."}.items():
        with pytest.raises(TdaError, match=f"No model in .*{name} could be rendered, of 1. The first: .*{reason}"):
            write_mesh_atlas(models / name, tmp_path / "two", Look(1, 1, 8))


def test_scenes_get_names_that_a_store_can_hold(models, tmp_path):
    quad_glb(models / "a:b\\c.glb")
    quad_glb(models / "tab\there.glb")
    quad_glb(models / ("x" * 201 + ".glb"))
    good, broken = write_mesh_atlas(models, tmp_path / "out", Look(1, 1, 8), workers=1)
    assert good == ["a_b_c", "small", "sub_large", "tab_here"]
    message = broken["x" * 201 + ".glb"]
    assert "xxx': its name is 1 to 200 printable characters without / \\ : and no dot in front. Rename it." in message
    assert read_atlas(tmp_path / "out").names == tuple(good)


def test_a_folder_that_cannot_be_written_is_refused_first(models, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(meshes, "_find", None)  # nothing is looked for
    for out in (tmp_path / "file", tmp_path / "file/out"):
        with pytest.raises(TdaError, match=f"Nothing can be written to {out} [(]Not a directory[)]. Name another"):
            write_mesh_atlas(models, out, SMALL)


def test_a_disk_that_gets_full_is_a_message(models, tmp_path, monkeypatch):
    def write(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(meshes, "write_scene", write)
    with pytest.raises(TdaError, match="out/small cannot be written [(]No space left on device[)]. Make room, and"):
        write_mesh_atlas(models, tmp_path / "out", SMALL, workers=1)


AGREEING = {
    "kenney_sedan": 60.0,
    "quaternius_taxi": 50.0,
    "kaykit_car_police": 50.0,
    "toy_truck": 50.0,
    "starter_truck_green": 60.0,
    "gazebo_bus": 38.0,
}
"""PSNR in dB that three views of a vehicle reach at least."""


@pytest.mark.parametrize("name", AGREEING)
def test_rendered_vehicles_agree_with_the_shared_atlas(cars, name):
    model = cars.parent / f"car-models/{name}.glb"
    if not model.is_file():
        pytest.skip("needs ../shared/data/car-models beside the repository (56 models of vehicles)")
    caster = Raycaster(fit(read_model(model)), LIGHT)
    scene = read_scene(cars / name)
    found = []
    cameras = list(meshes._cameras(name, Look(poses=str(cars)))["test"])
    for row in (0, 4, 8):
        image = caster.render(cameras[row]).astype(float)
        white = (image[..., :3] * image[..., 3:] + 255 * (255 - image[..., 3:])) / 255
        error = white - read_image(scene.test.paths[row], scene.width, scene.height).numpy()
        found.append(-10 * np.log10(max((error**2).mean() / 255**2, 1e-9)))
    assert np.mean(found) > AGREEING[name], found
