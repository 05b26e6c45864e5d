"""Pre-training: bits that do not depend on interruptions, a log for curves, and what is refused."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.studies import pretrain as module
from tda_nerfstudio.studies import unseen
from tda_nerfstudio.studies.pretrain import LAST_RATE, RAMP, Pretraining, Recipe, pretrain, rate_share


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a pool of two discs, one small test set, and an autoencoder of two million parameters less."""
    at = np.arange(128) - 63.5
    sprite = np.zeros((128, 128, 4), np.uint8)
    sprite[np.hypot(*np.meshgrid(at, at)) < 40] = (20, 160, 60, 255)
    monkeypatch.setattr(module, "SpritePool", lambda folder, count, seed: [sprite] * count)
    monkeypatch.setattr(unseen, "MADE", {"greys": lambda i: np.full((16, 16, 3), 4 * i, np.uint8)})
    light = module.AutoencoderConfig
    monkeypatch.setattr(module, "AutoencoderConfig", lambda **options: light(width=16, blocks=1, **options))


def recipe(**options) -> Recipe:
    return Recipe(**{"channels": 2, "steps": 4, "batch": 2, "sprites": 2} | options)


def state(folder: Path) -> dict:
    return torch.load(folder / "checkpoints/last.pt", weights_only=True)


def test_a_run_that_was_cut_ends_in_the_same_bits(tmp_path: Path, monkeypatch, capsys):
    whole = pretrain(tmp_path / "whole", recipe())
    assert whole.step == 4 and state(tmp_path / "whole")["step"] == 4
    train = Pretraining.train

    def cut(self, images):
        if self.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return train(self, images)

    monkeypatch.setattr(Pretraining, "train", cut)
    with pytest.raises(SystemExit) as left:
        pretrain(tmp_path / "cut", recipe())
    said = " ".join(capsys.readouterr().out.split())
    assert left.value.code == 128 + signal.SIGTERM and state(tmp_path / "cut")["step"] == 2
    assert "Saved step 2. Go on with: tda ae pretrain" in said
    assert "--channels 2 --steps 4 --seed 0 --batch 2 --sprites 2" in said
    monkeypatch.setattr(Pretraining, "train", train)
    again = pretrain(tmp_path / "cut", recipe(), workers=1)
    assert again.model.fingerprint() == whole.model.fingerprint()
    moments = [state(tmp_path / name)["optimizer"]["state"][0]["momentum"] for name in ("whole", "cut")]
    assert torch.equal(*moments)


def test_the_log_holds_step_seconds_and_psnr_of_each_test_set(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(module, "VALIDATE_EVERY", 0)
    run = pretrain(tmp_path, recipe(steps=2))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 2] and lines[0]["seconds"] < lines[1]["seconds"]
    images = unseen.unseen_sets(tmp_path / "sprites")["greys"][torch.linspace(0, 63, 32).long()]
    expected = float(unseen.reconstruct_in_batches(run.model, images)[1].mean())
    assert lines[-1]["psnr"] == {"greys": pytest.approx(expected, abs=1e-3)}


def test_minutes_end_a_run_and_its_learning_rate_follows_the_clock(tmp_path: Path):
    run = pretrain(tmp_path, recipe(steps=None, minutes=1e-4))
    assert run.step >= 1 and run.seconds >= 6e-3 and run.progress == 1
    assert Recipe(minutes=2).progress(step=7, seconds=30) == 0.25 and Recipe(steps=8).progress(2, 99) == 0.25


def test_training_lowers_the_loss(tmp_path: Path):
    run = Pretraining(tmp_path, recipe(steps=200))
    colours = torch.tensor([[20, 90, 200], [250, 180, 30]], dtype=torch.uint8)[..., None, None]
    images = colours * (torch.arange(32) % 2 == 0).expand(32, 32)  # stripes too fine for the shortcut
    losses = [float(run.train(images)) for _ in range(200)]
    assert losses[-1] < 0.8 * losses[0]


def test_learning_rates_rise_then_fall_by_half_a_cosine():
    assert rate_share(0, 0.0) == pytest.approx(1 / RAMP)
    assert rate_share(RAMP, 0.0) == 1
    assert rate_share(RAMP, 0.5) == pytest.approx((1 + LAST_RATE) / 2)
    assert rate_share(RAMP, 1.0) == rate_share(RAMP, 1.2) == pytest.approx(LAST_RATE)


@pytest.mark.parametrize("length", [{}, {"steps": 3, "minutes": 1.0}, {"steps": 0}, {"minutes": -1.0}])
def test_a_length_is_asked_for_once(length):
    with pytest.raises(TdaError, match="--steps N .reproducible to the bit. or --minutes M, one of them"):
        Recipe(**length)


def test_a_folder_of_another_recipe_is_not_touched(tmp_path: Path):
    Pretraining(tmp_path, recipe(seed=1))
    with pytest.raises(TdaError, match="another recipe(.|\n)*Name another folder, or repeat that run's options"):
        Pretraining(tmp_path, recipe(seed=2))


def test_a_damaged_checkpoint_is_named(tmp_path: Path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/last.pt").write_bytes(b"x")
    with pytest.raises(TdaError, match="last.pt cannot be read"):
        Pretraining(tmp_path, recipe())
