"""Refuse options that no run can work with, before anything is written."""

from __future__ import annotations

import math
from dataclasses import fields
from functools import reduce
from typing import Any

import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.learning.schedule import Schedule
from tda_nerfstudio.plugin.run_config import RunConfig
from tda_nerfstudio.plugin.tda_pipeline import TdaPipelineConfig

TRIPLANE, MANAGER = "pipeline.model.triplane.", "pipeline.datamanager."
BOX = f"{MANAGER}dataparser.box"
BOUNDS: dict[str, tuple[int, int | None, str]] = {
    f"{MANAGER}scenes-per-step": (1, None, "A step visits that many scenes."),
    f"{MANAGER}views-per-scene": (1, None, "A step sees that many views of each scene that it visits."),
    f"{MANAGER}rays-per-view": (1, None, "A step sees that many rays of each view."),
    f"{MANAGER}ray-views": (1, None, "A step's rays are taken from that many views of each scene."),
    f"{MANAGER}dataparser.train-views": (1, None, "Each scene is learnt from so many of its views."),
    f"{MANAGER}dataparser.eval-every": (0, None, "Every so many views are held out; 0 holds out none."),
    f"{TRIPLANE}resolution": (2, 1024, "Planes have that many cells along each side; the paper's have 64."),
    f"{TRIPLANE}bases": (0, None, "Scenes share that many base planes; with 0, nothing but the MLP."),
    f"{TRIPLANE}micro-channels": (0, None, "A scene has that many features of its own."),
    f"{TRIPLANE}macro-channels": (0, None, "Base planes have that many features."),
    f"{TRIPLANE}hidden": (1, None, "It is the width of the MLP; the paper's is 64."),
    f"{TRIPLANE}starter": (0, None, "It is the width of the network that gives new scenes their first planes."),
    f"{TRIPLANE}grid": (1, None, "Empty space is known in that many cells along each side."),
    "pipeline.scenes-per-wave": (1, None, "So many scenes are learnt at a time; without it, all of them."),
    "max-num-iterations": (1, None, "All phases are rescaled to that many steps in all."),
    "machine.seed": (0, None, "Any whole number from 0 on makes a run of its own."),
}
"""The least and the most that options may be, and what they mean. An option that is None is not checked."""


def check_options(config: RunConfig) -> None:
    """Raise TdaError for the first option that is out of its bounds. It says what to give."""
    for option, (least, most, meaning) in BOUNDS.items():
        value = _value(config, option)
        if value is not None and not least <= value <= (value if most is None else most):
            bounds = f"at least {least}" if most is None else f"from {least} to {most}"
            raise TdaError(f"--{option} must be {bounds}, not {value}. {meaning}")
    if config.pipeline.model.triplane.channels < 1:
        raise TdaError(
            f"Planes have no features: give --{TRIPLANE}micro-channels, or --{TRIPLANE}macro-channels with"
            f" --{TRIPLANE}bases, of 1 or more."
        )
    _check_independence(config.pipeline)
    _check_schedule(config.pipeline.schedule)
    _check_box(config.pipeline.datamanager.dataparser.box)
    if config.machine.device_type == "cuda" and not torch.cuda.is_available():
        raise TdaError(
            "--machine.device-type cuda needs a GPU that PyTorch can use, and there is none here. Give"
            " --machine.device-type cpu."
        )
    if config.folder is None:
        _check_name(config.timestamp)


def _value(config: RunConfig, option: str) -> Any:
    return reduce(getattr, option.replace("-", "_").split("."), config)


def _check_independence(pipeline: TdaPipelineConfig) -> None:
    """Refuse waves and stores for scenes that are not independent of each other."""
    for option, given in (("scenes-per-wave", pipeline.scenes_per_wave), ("store", pipeline.store)):
        if given is not None and not pipeline.schedule.independent:
            raise TdaError(
                f"--pipeline.{option} is for tda-scenes with frozen shared parts: where base planes, MLP or decoder"
                " move, every scene depends on all others. Leave it out, or --pipeline.schedule.shared finetune."
            )


def _check_schedule(schedule: Schedule) -> None:
    """Require visits, weights, noise and rates to be finite and at least 0. The schedule itself refuses rates of 0."""
    for field in fields(schedule):
        option, value = f"--pipeline.schedule.{field.name.replace('_', '-')}", getattr(schedule, field.name)
        if isinstance(value, int | float) and not 0 <= value < math.inf:
            also = " A phase of 0 visits is left out." if field.name.endswith("visits") else ""
            raise TdaError(f"{option} must be a finite number of at least 0, not {value}.{also}")
        for key, rate in value.items() if isinstance(value, dict) else ():
            if not math.isfinite(rate):
                raise TdaError(f"{option}.{key} must be a finite number above 0, not {rate}.")


def _check_box(box: tuple[float, ...] | None) -> None:
    if box is None:
        return
    if not all(map(math.isfinite, box)) or any(low >= high for low, high in zip(box[:3], box[3:], strict=True)):
        raise TdaError(
            f"--{BOX} must be six finite numbers, min x y z below max x y z, not {' '.join(f'{v:g}' for v in box)}."
            " Give such as -1 -1 -1 1 1 1, or leave it out: then it is fitted to the scenes."
        )


def _check_name(name: str) -> None:
    if not name or name.startswith(".") or any(mark in name for mark in "/\\\0"):
        raise TdaError(
            f"--timestamp must name a folder, without / or \\ in it and no dot in front, not '{name}'. Give a name"
            " such as first-try; where runs go is for --output-dir to say."
        )
