"""Procedural pictures: what each sort is, and that the seed says all."""

from __future__ import annotations

import numpy as np
import pytest

from tda_nerfstudio.making.procedural import pictures


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_chances_name_every_sort_and_add_up():
    assert len(pictures.CHANCES) == len(pictures.SORTS) and pictures.CHANCES.sum() == pytest.approx(1)


@pytest.mark.parametrize("sort", pictures.SORTS, ids=lambda sort: sort.__name__)
def test_every_sort_is_a_picture_that_its_seed_says(sort):
    images = [sort(rng(3, i), 32) for i in range(6)]
    assert all(image.shape == (32, 32, 3) and image.dtype == np.uint8 for image in images)
    np.testing.assert_array_equal(images[0], sort(rng(3, 0), 32))
    assert len({image.tobytes() for image in images}) >= 4


def test_pictures_reach_over_the_whole_gamut():
    images = np.stack([pictures.picture(rng(i), 32) for i in range(60)]) / 255
    assert images.min() == 0 and images.max() == 1
    means = images.mean((1, 2))
    assert (means.std(0) > 0.15).all() and (means.max(1) - means.min(1)).max() > 0.5
    assert (images.std((1, 2)).max(1) < 0.02).sum() < 10  # few are empty


def test_value_noise_is_finer_when_more_octaves_are_added_and_fills_its_range():
    level = pictures.value_noise(rng(1), 64)
    assert (level.min(), level.max()) == (0, 1)


def test_hard_edges_are_antialiased():
    edge = np.zeros((4, 4), np.float32)
    edge[:, 3:] = 1
    image = pictures.paint(edge, rng(0))
    left, right = image[0, 0].astype(int), image[0, 1].astype(int)
    full = pictures.paint(np.ones((4, 4), np.float32), rng(0))[0, 0].astype(int)
    assert np.abs(right - (left + full) / 2).max() <= 1


def test_levels_in_bytes_round_and_clip():
    assert pictures.as_bytes(np.array([-1, 0, 0.5, 1, 2])).tolist() == [0, 0, 128, 255, 255]
