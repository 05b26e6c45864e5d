"""The plan of a store: which scenes are learnt together, and with what. A file in the store that never changes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, Self

from tda_nerfstudio.base.atomic import create_file
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.learning.batches import StepSize
from tda_nerfstudio.learning.schedule import StageTwo
from tda_nerfstudio.store.precision import Precision
from tda_nerfstudio.store.safe_files import check_name, damage_named

PLANS = "plans"
"""Folder of a store that has its plans, the newest one last."""
FORMAT = "tda plan 1"


class Job(NamedTuple):
    """A wave of scenes to learn, or what is left of one."""

    wave: int
    """Its place in the plan."""
    names: tuple[str, ...]
    lost: int = 0
    """How often its worker was lost while it was learnt."""
    moved: int = 0
    """How often it had to leave a machine that failed."""


@dataclass(frozen=True)
class Orders:
    """What every wave of a plan is learnt with."""

    data: str
    """The atlas: a folder, or an address in a bucket."""
    scenes: tuple[str, ...]
    """What chose its scenes, as in `selection.select`."""
    scenes_per_wave: int
    """K: most scenes of a wave."""
    shared: str
    """Hash of the store's shared parts."""
    size: tuple[int, int]
    """Width and height of all images, in pixels."""
    seed: int
    step_size: StepSize
    schedule: StageTwo
    """With every length filled in."""
    precision: Precision

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Self:
        """Make orders from what `asdict` gives."""
        given = {field.name: content[field.name] for field in fields(cls)}
        given |= {name: tuple(given[name]) for name in ("size", "scenes")}
        return cls(**given | {"step_size": StepSize(**given["step_size"]), "schedule": StageTwo(**given["schedule"])})


@dataclass(frozen=True)
class Plan:
    """Orders, and the waves to learn by them."""

    orders: Orders
    waves: tuple[tuple[str, ...], ...]
    prints: Mapping[str, str]
    """The fingerprint that each scene's files had when the plan was made."""
    left_out: Mapping[str, str]
    """Why scenes of the atlas are in no wave."""

    @property
    def names(self) -> list[str]:
        """All scenes of its waves."""
        return [name for wave in self.waves for name in wave]

    def content(self) -> bytes:
        """Write it as JSON."""
        content = asdict(self) | {"format": FORMAT}
        return json.dumps(content, indent=1).encode() + b"\n"


def make_waves(names: Sequence[str], per_wave: int) -> tuple[tuple[str, ...], ...]:
    """Cut scenes into waves of `per_wave`, of which the last ones may have one scene less."""
    count = -(-len(names) // per_wave)
    ends = [len(names) * k // count for k in range(count + 1)] if count else []
    return tuple(tuple(names[first:last]) for first, last in zip(ends, ends[1:], strict=False))


def newest_plan(store: Path) -> Plan | None:
    """Read a store's newest plan; None where it has none. Raises StoreError for a damaged one."""
    paths = sorted((store / PLANS).glob("*.json"))
    return _read(paths[-1]) if paths else None


def next_number(store: Path) -> int:
    """The number of the next plan of a store."""
    return 1 + max((int(path.stem) for path in (store / PLANS).glob("*.json") if path.stem.isdecimal()), default=-1)


def keep_plan(store: Path, plan: Plan, number: int) -> Plan:
    """Write a plan into a store under a number.

    Returns it, or the one that somebody else has written there since the number was asked for.
    """
    path = store / PLANS / f"{number:04d}.json"
    return plan if create_file(path, plan.content()) else _read(path)


def _read(path: Path) -> Plan:
    with damage_named(path, "The plan"):
        raw = path.read_bytes()
        content = json.loads(raw)
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {str(content['format'])[:40]!r}, not {FORMAT!r}")
        waves = tuple(tuple(check_name(name, path) for name in wave) for wave in content["waves"])
        plan = Plan(Orders.read(content["orders"]), waves, dict(content["prints"]), dict(content["left_out"]))
        if missing := [name for name in plan.names if name not in plan.prints]:
            raise ValueError(f"it has no fingerprint of {missing[0]!r}")
        return plan


def check_same(plan: Plan, given: Mapping[str, Any], store: Path) -> None:
    """Raise TdaError where options of a line (None: not given) are not those of an unfinished plan."""
    orders = asdict(plan.orders)
    orders["scenes_per_step"], orders["visits"] = orders["step_size"]["scenes"], orders["schedule"]["encode_visits"]
    for name, value in given.items():
        if value is not None and value != orders[name]:
            option = f"--{name.replace('_', '-')}"
            raise TdaError(
                f"The plan of {store} is not finished, and has {option} {orders[name]}, not {value}. Leave {option} out"
                " to go on with it, or add --replan to plan anew for all scenes that are not learnt yet."
            )
