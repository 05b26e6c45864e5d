"""Curves keep means, few points and their state."""

from __future__ import annotations

import torch

from tda_nerfstudio.learning.curves import MOST, WAITING, Curve, Curves


def test_a_curve_that_gets_long_halves_its_points_and_keeps_the_mean() -> None:
    curve = Curve()
    for step in range(4 * MOST):
        curve.add(step, float(step))
    assert curve.stride == 8 and len(curve.steps) == MOST // 2
    assert curve.steps[:2] == [7, 15] and curve.steps[-1] == 4 * MOST - 1
    assert curve.values[:2] == [3.5, 11.5]  # means of 0..7 and 8..15
    assert sum(curve.values) / len(curve.values) == (4 * MOST - 1) / 2


def test_values_may_be_numbers_or_tensors_and_none_that_is_not_finite_is_kept() -> None:
    curves = Curves()
    for step, value in enumerate([1.0, torch.tensor(2.0), torch.tensor(torch.nan), float("inf"), torch.tensor(3.0)]):
        curves.add("loss/rgb", step, value)
    curves.add("other/rgb", 0, 7.0)
    assert curves.read("loss") == {"rgb": ([0, 1, 4], [1.0, 2.0, 3.0])}


def test_values_do_not_pile_up_on_their_device() -> None:
    curves = Curves()
    for step in range(3 * WAITING):
        curves.add("loss/rgb", step, torch.tensor(1.0))
    assert not curves._waiting


def test_curves_go_on_from_their_state_as_if_they_had_never_been_cut() -> None:
    whole, first = Curves(), Curves()
    for step in range(MOST + 1):  # the last one is half of a point
        whole.add("loss/rgb", step, step / 7)
        first.add("loss/rgb", step, step / 7)
    second = Curves(first.state())
    for step in range(MOST + 1, MOST + 100):
        whole.add("loss/rgb", step, step / 7)
        second.add("loss/rgb", step, step / 7)
    assert whole.state() == second.state()
