"""The simulation against sums that can be done by hand, and the whole measurement on a tiny atlas."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.studies.scaling import Faults, Times, read_times, simulate, table, write_times
from tda_nerfstudio.studies.scaling_run import scaling

NOTHING = Times(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
TIMES = Times(
    scene=2.0,
    wave=1.0,
    spread=0.0,
    worker_start=5.0,
    driver_start=10.0,
    listing=0.001,
    dispatch=0.01,
    opening=0.002,
    scene_bytes=66e3,
    shared_bytes=7e6,
)


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_without_faults_waves_are_shared_evenly(workers: int) -> None:
    found = simulate(160, workers, replace(NOTHING, scene=2.0, wave=1.0), per_wave=4)
    assert found.hours * 3600 == pytest.approx(40 / workers * (4 * 2 + 1))
    assert found.busy == pytest.approx(1) and (found.lost, found.files) == (0, 40)


def test_every_start_and_end_counts_once() -> None:
    found = simulate(32, 2, replace(TIMES, dispatch=0), per_wave=16)
    assert found.hours * 3600 == pytest.approx(10 + 0.032 + 5 + 33 + 2 * 0.002)
    assert found.gigabytes == pytest.approx((32 * 66e3 + 7e6) / 1e9)
    assert simulate(32, 2, TIMES, price=1.0).dollars == pytest.approx(2 * (48.046 + 0.02) / 3600 / 32 * 1000, rel=1e-3)


def test_the_driver_bounds_the_workers() -> None:
    busy = replace(NOTHING, scene=1.0, dispatch=0.5)
    few, many = (simulate(1600, workers, busy, per_wave=1).hours * 3600 for workers in (2, 512))
    assert few == pytest.approx(1600 / 2 * 1.5, rel=0.01)
    assert many == pytest.approx(1600 * 0.5 + 1, rel=0.01)


def test_a_worker_that_dies_costs_its_wave_and_no_scene() -> None:
    faults = Faults(worker=6.0, machine=0, driver=0)
    found = simulate(10_000, 1, replace(NOTHING, scene=1.0), faults, per_wave=60)
    expected = 10_000 * (2.718281828 ** (60 * 6 / 3600) - 1) / (60 * 6 / 3600)  # mean time to a success, by hand
    assert found.hours * 3600 == pytest.approx(expected, rel=0.05)
    assert found.lost == pytest.approx(167 * (2.718281828**0.1 - 1), abs=15)


def test_a_driver_that_dies_starts_again_and_the_run_ends() -> None:
    calm, stormy = (simulate(2_000, 8, TIMES, Faults(0, 0, 0, driver)) for driver in (0.0, 30.0))
    assert stormy.hours > 1.05 * calm.hours and stormy.lost > 0 and calm.lost == 0


def test_the_same_seed_gives_the_same_run_and_the_table_has_a_row_for_each() -> None:
    assert simulate(5_000, 8, TIMES, Faults(), seed=3) == simulate(5_000, 8, TIMES, Faults(), seed=3)
    lines = table(TIMES, counts=(1_000, 5_000), workers=(1, 8)).splitlines()
    assert len(lines) == 6 and lines[2].startswith("| 1,000 | 1 | 35 min | 99 % |"), lines


def test_times_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_times(tmp_path / "a.json", TIMES, {"scenes": 3})
    assert read_times(tmp_path / "a.json") == TIMES
    assert json.loads((tmp_path / "a.json").read_text())["scenes"] == 3


def test_too_few_scenes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TdaError, match="--scenes 8: 32 are needed at least"):
        scaling("atlas", "store", tmp_path / "out", 8, None, 0.04)
    shutil.rmtree(tmp_path)
