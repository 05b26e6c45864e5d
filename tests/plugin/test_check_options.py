"""Options out of their bounds are refused by name, before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from tda_nerfstudio import methods
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.plugin.check_options import BOUNDS, check_options
from tda_nerfstudio.plugin.resolve import resolve
from tda_nerfstudio.plugin.tda_trainer import TdaTrainerConfig

MANAGER, TRIPLANE, SCHEDULE = "pipeline.datamanager.", "pipeline.model.triplane.", "pipeline.schedule."
REFUSED = [
    (f"{MANAGER}scenes-per-step", 0, "must be at least 1, not 0. A step visits that many scenes."),
    (f"{MANAGER}views-per-scene", -3, "must be at least 1, not -3."),
    (f"{MANAGER}rays-per-view", 0, "must be at least 1, not 0."),
    (f"{MANAGER}dataparser.eval-every", -1, "must be at least 0, not -1."),
    (f"{TRIPLANE}resolution", 1, "must be from 2 to 1024, not 1."),
    (f"{TRIPLANE}resolution", 1025, "must be from 2 to 1024, not 1025."),
    (f"{TRIPLANE}bases", -1, "must be at least 0, not -1."),
    (f"{TRIPLANE}micro-channels", -1, "must be at least 0, not -1."),
    (f"{TRIPLANE}macro-channels", -1, "must be at least 0, not -1."),
    (f"{TRIPLANE}hidden", 0, "must be at least 1, not 0."),
    (f"{TRIPLANE}grid", 0, "must be at least 1, not 0."),
    ("pipeline.scenes-per-wave", 0, "must be at least 1, not 0."),
    ("max-num-iterations", 0, "must be at least 1, not 0."),
    ("machine.seed", -1, "must be at least 0, not -1."),
    (f"{SCHEDULE}warmup-visits", -1, "must be a finite number of at least 0, not -1. A phase of 0 visits is left out."),
    (f"{SCHEDULE}latent-visits", float("nan"), "must be a finite number of at least 0, not nan."),
    (f"{SCHEDULE}joint-visits", float("inf"), "must be a finite number of at least 0, not inf."),
    (f"{SCHEDULE}tv-weight", -0.5, "must be a finite number of at least 0, not -0.5."),
    (f"{SCHEDULE}ae-weight", float("nan"), "must be a finite number of at least 0, not nan."),
    (f"{SCHEDULE}warmup-rate", float("inf"), "must be a finite number of at least 0, not inf."),
    (f"{MANAGER}dataparser.box", (-1, -1, 1, 1, 1, 1), "min x y z below max x y z, not -1 -1 1 1 1 1. Give such as"),
    (f"{MANAGER}dataparser.box", (-1, -1, -1, 1, float("inf"), 1), "six finite numbers"),
    (f"{MANAGER}dataparser.box", (float("nan"), -1, -1, 1, 1, 1), "six finite numbers"),
    ("timestamp", "", "must name a folder, without / or \\ in it and no dot in front, not ''."),
    ("timestamp", "../away", "not '../away'."),
    ("timestamp", "a/b", "not 'a/b'."),
    ("timestamp", ".hidden", "not '.hidden'."),
]


def put(config: TdaTrainerConfig, option: str, value: Any) -> None:
    *owners, name = option.replace("-", "_").split(".")
    setattr(reduce(getattr, owners, config), name, value)


@pytest.fixture
def make(tiny_atlas: Path, tmp_path: Path) -> Callable[..., TdaTrainerConfig]:
    """Give tests `make(method)`: a configuration as ns-train makes it, not yet resolved."""

    def made(method: str = "tda_ae") -> TdaTrainerConfig:
        config = deepcopy(getattr(methods, method).config)
        config.output_dir, config.machine.device_type = tmp_path / "out", "cpu"
        config.pipeline.datamanager.data = tiny_atlas
        config.set_timestamp()
        return config

    return made


@pytest.mark.parametrize("method", ["tda_ae", "tda_scenes", "tda_rgb"])
def test_the_methods_own_values_are_good(make: Callable, method: str) -> None:
    check_options(make(method))


@pytest.mark.parametrize(("option", "value", "text"), REFUSED)
def test_an_option_out_of_bounds_is_named_as_typed_and_nothing_is_written(
    make: Callable, tmp_path: Path, option: str, value: Any, text: str
) -> None:
    config = make()
    put(config, option, value)
    with pytest.raises(TdaError) as raised:
        resolve(config)
    assert str(raised.value).startswith(f"--{option} must ") and text in str(raised.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", BOUNDS)
def test_the_bounds_themselves_are_good(make: Callable, option: str) -> None:
    for value in filter(lambda bound: bound is not None, BOUNDS[option][:2]):
        config = make("tda_scenes")
        put(config, option, value)
        check_options(config)


def test_planes_need_a_feature(make: Callable) -> None:
    config = make()
    triplane = config.pipeline.model.triplane
    triplane.micro_channels, triplane.bases = 0, 0
    with pytest.raises(TdaError, match=r"Planes have no features: give --pipeline\.model\.triplane\.micro-channels"):
        check_options(config)
    triplane.bases = 3
    check_options(config)


def test_rates_are_finite(make: Callable) -> None:
    config = make()
    config.pipeline.schedule.rates["micro"] = float("inf")
    with pytest.raises(TdaError, match=r"--pipeline\.schedule\.rates\.micro must be a finite number above 0, not inf"):
        check_options(config)


def test_a_gpu_is_asked_for_only_where_there_is_one(make: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make()
    config.machine.device_type = "cuda"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(TdaError, match="needs a GPU that PyTorch can use, and there is none here. Give --machine"):
        check_options(config)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    check_options(config)


def test_a_run_that_goes_on_keeps_the_name_it_has(make: Callable, tmp_path: Path) -> None:
    config = make()
    config.timestamp, config.folder = "a/b", tmp_path / "a/b"
    check_options(config)
