"""Scenes are found without being read; their fingerprints change when their files do, and not when they move."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tda_nerfstudio.atlas.atlas import read_atlas
from tda_nerfstudio.atlas.inventory import DATA_VARIABLE, Inventory, data_here, fingerprint
from tda_nerfstudio.base.errors import TdaError


@pytest.fixture
def atlas(tiny_atlas: Path, tmp_path: Path) -> Path:
    """Copy the tiny atlas, to change it."""
    return shutil.copytree(tiny_atlas, tmp_path / "atlas")


def test_a_copy_has_the_same_fingerprints_and_every_change_of_files_another(atlas: Path, tiny_atlas: Path) -> None:
    names = list(Inventory(tiny_atlas).folders)
    before = Inventory(tiny_atlas).prints(names)
    assert len(set(before.values())) == len(names) == 6 and Inventory(atlas).prints(names) == before
    (atlas / names[0] / "train" / "r_000.png").unlink()
    (atlas / names[1] / "more").mkdir()
    (atlas / names[1] / "more" / "file").write_text("x")
    with (atlas / names[2] / "transforms_train.json").open("a") as file:
        file.write(" ")
    (atlas / names[3] / ".hidden").write_text("x")
    shutil.rmtree(atlas / names[4])
    after = Inventory(atlas).prints(names)
    assert [after[name] == before[name] for name in names] == [False, False, False, True, False, True]
    assert after[names[4]] == ""


def test_a_fingerprint_is_the_same_on_every_machine() -> None:
    assert fingerprint([("b", 2), ("a", 1)]) == fingerprint([("a", 1), ("b", 2)]) == "97aa714810ebf476"


def test_only_named_scenes_are_looked_at(atlas: Path) -> None:
    some = Inventory(atlas, ["vehicle_0003", "none", "vehicle_0001"])
    assert list(some.folders) == ["vehicle_0001", "vehicle_0003"]


def test_staged_scenes_are_read_as_they_are(atlas: Path, tmp_path: Path) -> None:
    near = Inventory(atlas).stage(["vehicle_0002", "vehicle_0004"], tmp_path / "scratch")
    assert near.name == "atlas"
    read = read_atlas(near, size=(32, 32))
    assert read.names == ("vehicle_0002", "vehicle_0004") and not read.broken


def test_an_atlas_that_is_one_scene_has_that_alone(atlas: Path, tmp_path: Path) -> None:
    one = Inventory(atlas / "vehicle_0005")
    assert list(one.folders) == ["vehicle_0005"]
    assert Inventory(atlas / "vehicle_0005", ["vehicle_0005"]).prints(["vehicle_0005"]) == one.prints(["vehicle_0005"])
    assert read_atlas(one.stage(one.folders, tmp_path / "scratch")).names == ("vehicle_0005",)


def test_with_a_size_an_atlas_may_have_no_good_scene(atlas: Path, tmp_path: Path) -> None:
    (atlas / "vehicle_0000" / "transforms_train.json").write_text("{")
    near = Inventory(atlas).stage(["vehicle_0000"], tmp_path / "scratch")
    read = read_atlas(near, size=(32, 32))
    assert read.names == () and "is not valid JSON" in read.broken["vehicle_0000"]
    with pytest.raises(TdaError, match="No good scene in"):
        read_atlas(near)


def test_a_machine_may_have_its_atlas_elsewhere(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    assert data_here(Path("/a")) == Path("/a")
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    assert data_here(Path("/a")) == tmp_path
