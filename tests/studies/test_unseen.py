"""Test sets and the PSNR on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tda_nerfstudio.autoencoder.identity import IdentityAutoencoder
from tda_nerfstudio.making.demo import write_demo_atlas
from tda_nerfstudio.studies import unseen


def test_sets_are_drawn_once_and_atlases_give_their_test_views(tmp_path: Path, monkeypatch):
    drawn = []

    def draw(index: int) -> np.ndarray:
        drawn.append(index)
        return np.full((8, 8, 3), index, np.uint8)

    monkeypatch.setattr(unseen, "MADE", {"a b": draw})
    atlas = write_demo_atlas(tmp_path / "mine", scenes=2, train_views=1, test_views=3, size=16)
    first = unseen.unseen_sets(tmp_path / "cache", [atlas])
    again = unseen.unseen_sets(tmp_path / "cache")
    assert drawn == list(range(unseen.COUNT)) and again.keys() == {"a b"}
    assert torch.equal(first["a b"], again["a b"]) and first["a b"][:, 0, 0, 0].tolist() == drawn
    assert first["mine"].shape == (6, 3, 16, 16)


@pytest.mark.parametrize("name", unseen.MADE)
def test_made_sets_are_images_that_differ(name):
    images = [unseen.MADE[name](i) for i in (0, 1)]
    assert all(image.shape == (128, 128, 3) and image.dtype == np.uint8 for image in images)
    assert (images[0] != images[1]).any()
    np.testing.assert_array_equal(images[1], unseen.MADE[name](1))


def test_psnr_is_per_image_of_clamped_images():
    class Brighter(IdentityAutoencoder):
        def decode(self, latents):
            return super().decode(latents) + 0.1

    images = torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None].expand(2, 3, 4, 4)
    shown, quality = unseen.reconstruct_in_batches(Brighter(), images)
    assert quality.tolist() == pytest.approx([20, 100], abs=1e-4)  # white cannot get brighter
    assert shown.max() == 1
