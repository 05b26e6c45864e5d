"""Errors by hand, and checks that see what is wrong."""

from __future__ import annotations

import math

import pytest
import torch

from tda_nerfstudio.core import scenes
from tda_nerfstudio.core.row_adam import RowAdam
from tda_nerfstudio.studies.bench.agreement import CHECKS, Agreement, Place, check_agreement, error, rendering
from tda_nerfstudio.studies.bench.training import PHASES
from tda_nerfstudio.studies.bench.workshop import Workshop

CPU = torch.device("cpu")


def test_an_error_is_a_share_of_what_is_right():
    assert error(torch.tensor([3.0, 4.4]), torch.tensor([3.0, 4.0])) == pytest.approx(0.08)
    assert error(torch.tensor([True, False]), torch.tensor([True, True])) == pytest.approx(0.5**0.5)
    assert error(torch.tensor([0.0, 0.3]), torch.zeros(2)) == pytest.approx(0.3)
    assert error(torch.zeros(2), torch.zeros(2)) == 0


def test_what_is_rendered_shows_the_body(shop: Workshop):
    opacity = rendering(Place(shop, CPU, torch.float64))["opacity"]
    assert opacity.min() == 0 and opacity.max() > 0.2


def test_one_error_too_large_or_unknown_is_enough():
    assert Agreement("it", 0.1, {"a": 0.1, "b": 0.05}).holds
    assert not Agreement("it", 0.1, {"a": 0.11, "b": 0.05}).holds
    assert not Agreement("it", 0.1, {"a": math.nan, "b": 0.05}).holds
    assert Agreement("it", 0.1, {"a": 0.11, "b": 0.5}).worst == (0.5, "b")
    assert Agreement("it", 0.1, {"a": 0.11, "b": math.nan, "c": 0.2}).worst[1] == "b"


def test_float32_agrees_with_float64(shop: Workshop):
    found = {name: check_agreement(name, shop, CPU) for name in CHECKS}
    assert all(one.check == name and one.holds for name, one in found.items())
    for name, phase in PHASES.items():
        losses = {f"L_{loss}" for loss in phase.losses}
        moved = {f"gradient of {group}" for group in phase.rates}
        if name == "rgb":  # RGB scenes share no base planes
            moved -= {"gradient of weights", "gradient of base"}
        assert found[f"objective: {name}"].errors.keys() == losses | moved
    assert all(0 < one.worst[0] < 0.1 for name, one in found.items() if name != "occupancy")


def test_a_density_that_is_off_in_float32_alone_is_found(shop: Workshop, monkeypatch: pytest.MonkeyPatch):
    right = scenes.softplus
    monkeypatch.setattr(scenes, "softplus", lambda x: right(x) * (1.01 if x.dtype == torch.float32 else 1))
    found = check_agreement("rendering", shop, CPU)
    assert not found.holds and found.worst[0] < 0.1


def test_a_row_that_moves_and_must_not_is_found(shop: Workshop, monkeypatch: pytest.MonkeyPatch):
    step = RowAdam._step_rows

    def leak(self, table, group):
        step(self, table, group)
        if table.dtype == torch.float32:
            table.data[5] += 1e-3

    monkeypatch.setattr(RowAdam, "_step_rows", leak)
    found = check_agreement("RowAdam", shop, CPU)
    assert not found.holds and found.worst[1] == "rows that must not move"
