"""Files for readers that know plain images only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tda_nerfstudio.atlas.images import read_image
from tda_nerfstudio.atlas.layouts.scene import read_scene
from tda_nerfstudio.atlas.prepared import plain_files


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Keep the copies of these tests apart from the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/tda_nerfstudio/images"


def shown(file):
    """Read a file as nerfstudio does."""
    return np.array(Image.open(file), dtype="uint8")


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "L"])
def test_plain_files_are_named_themselves(tmp_path, scene_at, cache, mode):
    folder = scene_at(tmp_path / "car", "srn")
    for path in (folder / "rgb").iterdir():
        Image.open(path).convert(mode).save(path)
    scene = read_scene(folder)
    assert plain_files(scene.train) == list(scene.train.paths)
    assert not cache.exists()


@pytest.mark.parametrize("mode", ["LA", "P", "1", "I;16", "CMYK"])
def test_other_files_are_copied_once_with_our_pixels(tmp_path, scene_at, cache, mode):
    folder = scene_at(tmp_path / "car", "srn", mode="RGB")
    suffix = ".tif" if mode == "CMYK" else ".png"
    for path in (folder / "rgb").iterdir():
        image = Image.open(path).convert("RGB")
        wide = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 200)
        path.unlink()
        (wide if mode == "I;16" else image.convert(mode)).save(path.with_suffix(suffix))
    scene = read_scene(folder)
    files = plain_files(scene.train)
    for file, picture in zip(files, scene.train.pictures, strict=True):
        assert file.is_relative_to(cache) and file.stem.endswith(picture.path.stem)
        assert (shown(file) == read_image(picture, 8, 8).numpy()).all()
    before = [file.stat().st_mtime_ns for file in files]
    assert plain_files(scene.train) == files and [file.stat().st_mtime_ns for file in files] == before
    Image.new("LA", (8, 8), (7, 255)).save(scene.train.paths[0].with_suffix(".png"))
    if mode != "CMYK":
        assert set(plain_files(scene.train)).isdisjoint(files)


def test_masks_and_sizes_are_seen_by_stock_readers(tmp_path, scene_at):
    folder = scene_at(tmp_path / "car", "srn", size=16)
    Image.fromarray(np.tri(16, dtype=np.uint8)).save(tmp_path / "mask.png")
    scene = read_scene(folder)
    masked = tuple(replace(picture, mask=tmp_path / "mask.png") for picture in scene.train.pictures)
    views = replace(scene.train, pictures=masked)
    for changed in (replace(scene, train=views), scene.resized(8, 8)):
        files = plain_files(changed.train)
        size = (changed.width, changed.height)
        assert (shown(files[2]) == read_image(changed.train.pictures[2], *size).numpy()).all()


def test_without_a_home_the_copies_go_to_a_temporary_folder(tmp_path, scene_at, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = scene_at(tmp_path / "car", "srn")
    for path in (folder / "rgb").iterdir():
        Image.open(path).convert("LA").save(path)
    scene = read_scene(folder)
    assert all(path.parts[len(tmp_path.parts)].startswith("tda_nerfstudio-") for path in plain_files(scene.train))
