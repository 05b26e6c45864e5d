"""The pool of sprites and the images composed of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.demo import write_demo_atlas
from tda_nerfstudio.making.procedural import sprites
from tda_nerfstudio.making.procedural.broad import BroadImages, recoloured
from tda_nerfstudio.making.procedural.sprites import SIZE, SpritePool, render_sprites


def ball() -> np.ndarray:
    """A sprite: a green disc of radius 40."""
    at = np.arange(SIZE) - SIZE / 2 + 0.5
    sprite = np.zeros((SIZE, SIZE, 4), np.uint8)
    sprite[np.hypot(*np.meshgrid(at, at)) < 40] = (20, 160, 60, 255)
    return sprite


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.stack([BroadImages([ball()])[i] for i in range(200)])


def test_an_image_depends_on_its_seed_and_index_alone(images):
    again, other = BroadImages([ball()]), BroadImages([ball()], seed=1)
    assert torch.equal(again[150], images[150]) and torch.equal(again[3], images[3])
    assert not torch.equal(other[3], images[3])
    assert images.dtype == torch.uint8 and images.shape == (200, 3, SIZE, SIZE)


def test_about_half_of_the_images_show_objects_on_white(images):
    corners = images[..., [0, 0, -1, -1], [0, -1, 0, -1]].flatten(1)
    white = (corners == 255).all(1) & (images.flatten(1) < 250).any(1)
    assert 0.42 < white.float().mean() < 0.62


def test_recolouring_keeps_the_outline_and_reaches_other_hues():
    found = [np.asarray(recoloured(ball(), np.random.default_rng(i))) for i in range(40)]
    assert all((image[..., 3] == ball()[..., 3]).all() for image in found)
    assert {int(image[64, 64, :3].argmax()) for image in found} == {0, 1, 2}
    assert any((image == ball()).all() for image in found)


def test_sprites_depend_on_their_index_alone():
    two = render_sprites(0, 1, 2)
    assert two.shape == (2, SIZE, SIZE, 4) and two.dtype == np.uint8
    np.testing.assert_array_equal(two[1:], render_sprites(0, 2, 1))
    assert (two[0] != two[1]).any() and 0 < two[..., 3].mean() < 255


def test_a_pool_is_made_once_and_a_missing_file_again(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(sprites, "CHUNK", 2)
    monkeypatch.setattr(sprites, "render_sprites", lambda seed, start, n: np.full((n, 8, 8, 4), seed + start, np.uint8))
    pool = SpritePool(tmp_path, 5, seed=10, workers=1)
    assert len(pool) == 5 and [int(pool[i].max()) for i in range(5)] == [10, 10, 12, 12, 14]
    first, second, _ = sorted(tmp_path.iterdir())
    second.unlink()
    made = first.stat().st_mtime_ns
    assert int(SpritePool(tmp_path, 4, seed=10, workers=1)[3].max()) == 12
    assert first.stat().st_mtime_ns == made and len(list(tmp_path.iterdir())) == 3


def test_training_views_of_a_given_atlas_are_mixed_in_but_not_its_test_views(tmp_path: Path):
    atlas = write_demo_atlas(tmp_path / "atlas", scenes=1, train_views=1, test_views=1, size=SIZE)
    dataset = BroadImages([ball()], atlases=[atlas])
    (view,) = (atlas / "vehicle_0000/train").iterdir()
    assert [picture.path for picture, *_ in dataset.given] == [view]
    rgba = np.asarray(Image.open(view)).astype(float)
    truth = torch.from_numpy(rgba[..., :3] * rgba[..., 3:] / 255 + 255 - rgba[..., 3:]).permute(2, 0, 1)
    same = [min(float((dataset[i] - t).abs().max()) for t in (truth, truth.flip(-1))) <= 1 for i in range(60)]
    assert 0.1 < sum(same) / 60 < 0.45


def test_an_atlas_of_small_images_is_refused(tmp_path: Path):
    atlas = write_demo_atlas(tmp_path / "small", scenes=1, train_views=1, test_views=1, size=32)
    with pytest.raises(TdaError, match=r"small are 32 x 32; pre-training needs 128 x 128"):
        BroadImages([ball()], atlases=[atlas])
