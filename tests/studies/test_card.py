"""Exporting a pre-training run: the card says what the shipped weights do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tda_nerfstudio.autoencoder import embedded
from tda_nerfstudio.autoencoder.build import build
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.studies import card, pretrain, unseen
from tda_nerfstudio.studies.pretrain import Pretraining, Recipe


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> AutoencoderConfig:
    """Make everything small: an autoencoder, a pool of one empty sprite, one test set of two sorts of grey."""
    tiny = AutoencoderConfig(channels=2, width=16, blocks=1)
    monkeypatch.setattr(pretrain, "AutoencoderConfig", lambda **options: tiny)
    monkeypatch.setattr(card, "SpritePool", lambda folder, count, seed: np.zeros((count, 128, 128, 4), np.uint8))
    monkeypatch.setattr(card, "SAMPLE", 4)
    monkeypatch.setattr(unseen, "MADE", {"two greys": lambda i: np.full((16, 16, 3), 60 if i else 200, np.uint8)})
    return tiny


def test_weights_card_and_worst_image(tmp_path: Path, config, monkeypatch):
    run = Pretraining(tmp_path / "run", Recipe(channels=2, steps=1, sprites=1))
    run.step, run.seconds = 1, 1800.0
    run.save()
    out = tmp_path / "weights"
    means = card.export(tmp_path / "run", out)
    text = (out / "README.md").read_text()

    monkeypatch.setattr(embedded, "FOLDER", out)
    shipped = build(config)
    truth = unseen.unseen_sets(tmp_path / "run/sprites")["two greys"]
    shown, quality = unseen.reconstruct_in_batches(shipped, truth)
    assert means == {"two greys": pytest.approx(float(quality.mean()))}
    assert f"| two greys | 64 | {quality.mean():.2f} | {quality.min():.2f} |" in text
    assert "1 steps of 16 images of 128 x 128, seed 0, 0.50 hours on" in text
    assert f"a = {float(shipped.latent_scale):.4f}" in text and "{" not in text
    pair = np.asarray(Image.open(out / "worst-two-greys.png"))
    assert pair.shape == (16, 32, 3) and (pair[:, :16] == int(truth[quality.argmin(), 0, 0, 0])).all()
    worst = (shown[quality.argmin()] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(pair[:, 16:], worst)


def test_a_folder_without_a_run_is_refused(tmp_path: Path):
    with pytest.raises(TdaError, match="holds no pre-training run. Give the folder that `tda ae pretrain` wrote"):
        card.export(tmp_path, tmp_path / "out")
    assert not list(tmp_path.iterdir())
