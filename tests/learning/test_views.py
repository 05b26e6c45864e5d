"""Images and cameras of scenes that learn together."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tda_nerfstudio.atlas.atlas import read_atlas
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.learning.views import SceneViews


@pytest.fixture
def views(tiny_atlas: Path) -> SceneViews:
    return SceneViews(read_atlas(tiny_atlas, scenes=("0:4",)))


def test_training_images_are_the_files_on_white(views: SceneViews) -> None:
    image = views.images(views.train, torch.tensor([8 * 2 + 5]))[0]
    path = views.atlas.scenes[2].train.paths[5]
    assert path.parts[-3:] == ("vehicle_0002", "train", "r_005.png")
    rgba = np.asarray(Image.open(path)).astype(float) / 255
    expected = rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]
    assert np.abs(image.permute(1, 2, 0).numpy() - expected).max() <= 0.5 / 255 + 1e-6


def test_held_out_views_come_by_scene_in_order(views: SceneViews) -> None:
    seen = list(views.held_out_views())
    assert [(s, len(view)) for s, view, _ in seen] == [(s, 2) for s in range(4)]
    assert all(torch.equal(view.c2w, views.atlas.scenes[s].test.c2w) for s, view, _ in seen)
    assert all(images.shape == (2, 3, 32, 32) and images.min() >= 0 and images.max() <= 1 for *_, images in seen)


def test_some_scenes_are_served_as_if_there_were_no_others(views: SceneViews) -> None:
    some = views.only([3, 1])
    assert some.names == ["vehicle_0003", "vehicle_0001"] and len(some.train) == 16
    index = torch.tensor([8 + 5])
    assert torch.equal(some.images(some.train, index), views.images(views.train, index))


def test_an_image_that_cannot_be_read_is_no_number_where_that_is_tolerated(tiny_atlas, tmp_path, capsys) -> None:
    shutil.copytree(tiny_atlas, tmp_path / "tiny")
    path = tmp_path / "tiny/vehicle_0001/train/r_000.png"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    atlas = read_atlas(tmp_path / "tiny", scenes=("0:2",))
    with pytest.raises(TdaError, match=r"r_000.png cannot be decoded"):
        SceneViews(atlas).images(SceneViews(atlas).train, torch.arange(16))
    views = SceneViews(atlas, tolerant=True)
    for _ in range(2):
        images = views.images(views.train, torch.arange(16))
        assert images.isnan().flatten(1).all(1).tolist() == [i == 8 for i in range(16)]
    assert list(views.unreadable) == ["vehicle_0001"] and "r_000.png" in views.unreadable["vehicle_0001"]
    assert capsys.readouterr().out.count("'vehicle_0001' will be put aside") == 1
