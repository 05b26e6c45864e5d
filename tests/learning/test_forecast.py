"""What a run will cost, measured without a trace."""

from __future__ import annotations

import time
from itertools import chain

import pytest
import torch
from torch import Tensor

from tda_nerfstudio.learning.forecast import forecast


def state(learner) -> dict[str, Tensor]:
    """Everything that a step could change."""
    return {**learner.scenes.state_dict(), **learner.codec.state_dict()}


def test_the_forecast_changes_nothing(learner) -> None:
    before = {name: value.clone() for name, value in state(learner).items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    table = forecast(learner, [learner.wave], 0, 4).table
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(value, before[name]) for name, value in state(learner).items())
    assert all(param.grad is None for param in chain(*learner.training.groups.values()))
    assert learner.batches.latents.cache is None
    assert list(table.columns[0].cells) == ["warm-up", "latent", "joint"]
    assert list(table.columns[1].cells) == ["4", "4", "4"]
    assert list(table.columns[2].cells) == ["8", "8", "8"]  # 4 steps x 4 scenes x 2 views / 4 scenes


def test_a_resumed_runs_forecast_counts_only_what_is_left(learner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner, "dry_step", lambda span: 0.5)  # seconds
    expected = forecast(learner, [learner.wave], 6, 4)
    assert list(expected.table.columns[1].cells) == ["0", "2", "4"]
    assert list(expected.table.columns[4].cells) == ["-", "1 s", "2 s"]
    assert expected.seconds.keys() == {"warm-up", "latent", "joint"} and expected.seconds["warm-up"] == 0
    assert expected.summary.startswith("4 scenes: less than a minute, ")


def test_latents_that_training_reads_from_the_cache_are_made_before_the_clock_starts(
    learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, delay = learner.codec.encode, 1.0

    def slowly(*args):
        time.sleep(delay)
        return encode(*args)

    monkeypatch.setattr(learner.codec, "encode", slowly)
    assert learner.dry_step(learner.wave.spans[1]) < delay
    assert learner.dry_step(learner.wave.spans[2]) > delay  # the joint phase encodes at every step
