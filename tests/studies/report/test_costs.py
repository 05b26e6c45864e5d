"""The paper's formulas, by hand and at the published parts."""

from __future__ import annotations

import pytest

from tda_nerfstudio.studies.report import costs


def test_published_parts_give_the_published_saving() -> None:
    each = costs.memory(costs.PUBLISHED_PARTS, 1000)
    assert each / costs.MIB == pytest.approx(0.8397, abs=1e-4)
    assert 1 - each / costs.PUBLISHED_RGB_BYTES == pytest.approx(0.440, abs=5e-4)
    assert costs.memory(costs.PUBLISHED_PARTS, 360) == pytest.approx(costs.PUBLISHED_RGB_BYTES, rel=5e-3)


def test_minutes_by_hand(make_row) -> None:
    minutes = costs.minutes(make_row())
    assert minutes is not None
    assert minutes(10) == 10.0  # 100 minutes of stage 1, nothing else
    assert minutes(110) == pytest.approx((100 + 100 * 2) / 110)
    rgb = costs.minutes(make_row(stage_one={}, method="tda-rgb"))
    assert rgb is not None and rgb(1) == rgb(1000) == 2.0


@pytest.mark.parametrize(
    "change",
    [{"minutes_per_scene": None}, {"method": "tda-ae"}, {"stage_one": {"name": "one"}}],
)
def test_a_missing_part_leaves_no_curve(make_row, change) -> None:
    assert costs.minutes(make_row(**change)) is None
