"""Make the plan of a store: what it lacks of an atlas, in waves; or go on with one that is not finished."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from tda_nerfstudio.atlas.atlas import Atlas, read_atlas
from tda_nerfstudio.atlas.bounds import reach_out
from tda_nerfstudio.atlas.inventory import Inventory, data_here
from tda_nerfstudio.atlas.selection import select, split_of
from tda_nerfstudio.base.errors import StoreError, TdaError
from tda_nerfstudio.base.names import NAMES, is_safe
from tda_nerfstudio.base.places import is_remote, place
from tda_nerfstudio.base.terminal import warn
from tda_nerfstudio.core.cameras import parts_shape
from tda_nerfstudio.engine.plan import Orders, Plan, check_same, keep_plan, make_waves, newest_plan, next_number
from tda_nerfstudio.engine.work import check_data
from tda_nerfstudio.learning.batches import StepSize
from tda_nerfstudio.learning.schedule import Setting, StageTwo
from tda_nerfstudio.learning.views import SceneViews
from tda_nerfstudio.store.precision import Precision
from tda_nerfstudio.store.shared_parts import SharedParts, write_shared_parts
from tda_nerfstudio.store.store import Store

METHOD = "tda-scenes"
"""Key of the scenes to learn in an atlas' splits.json, as for ns-train."""
SAMPLE = 16
"""Scenes that are read to plan: the size of most images, and the usual number of training views, count for all."""


@dataclass(frozen=True)
class Wishes:
    """What a command line asks for; None where it does not say."""

    scenes: tuple[str, ...] | None = None
    """Selectors, as in `selection.select`."""
    scenes_per_wave: int | None = None
    seed: int | None = None
    visits: float | None = None
    scenes_per_step: int | None = None
    precision: Precision | None = None

    def check(self) -> None:
        """Raise TdaError for numbers that nothing can be planned with."""
        bounds = {"scenes_per_wave": 1, "scenes_per_step": 1, "visits": 1e-3, "seed": 0}
        for name, low in bounds.items():
            value = getattr(self, name)
            if value is not None and not low <= value < 1 << 31:
                raise TdaError(f"--{name.replace('_', '-')} {value} must be at least {low}.")


def find_plan(store: Store, inventory: Inventory, wishes: Wishes, done: Collection[str], replan: bool = False) -> Plan:
    """Return the store's unfinished plan, if there is one, or make one of all scenes that are not `done`.

    With `replan`, an unfinished plan is left. Raises TdaError for an atlas that has changed, for other options than
    those of the unfinished plan, and StoreError for a plan that was made with other shared parts.
    """
    wishes.check()
    number = next_number(store.folder)
    plan = None if replan else newest_plan(store.folder)
    left = [name for name in plan.names if name not in done] if plan else []
    if plan is None or not left:
        plan = _new(store, inventory, wishes, done)
        plan = keep_plan(store.folder, plan, number) if plan.waves else plan
    check_same(plan, asdict(wishes), store.folder)
    if plan.orders.shared != store.manifest.hash:
        raise StoreError(
            f"The plan of {store.folder} is for the shared parts {plan.orders.shared}, and the store has"
            f" {store.manifest.hash}. Restore the store as it was, or add --replan to plan anew."
        )
    plan = replace(plan, orders=replace(plan.orders, data=str(inventory.root)))  # it may have been moved
    if left:
        check_data(store.folder, plan.orders, {name: plan.prints[name] for name in left}, inventory)
    return plan


def _new(store: Store, inventory: Inventory, wishes: Wishes, done: Collection[str]) -> Plan:
    scenes = _selectors(inventory, wishes)
    chosen = select(list(inventory.folders), scenes, METHOD)
    left_out = {name: f"a scene's name is {NAMES}; rename its folder" for name in chosen if not is_safe(name)}
    names = [name for name in chosen if name not in done and name not in left_out]
    camera, box = store.manifest.camera, store.shared.scenes.box
    usual = camera.width, camera.height
    size, views = _sample(inventory, names, box, usual) if names else (usual, 1)
    step_size = StepSize(wishes.scenes_per_step or StepSize().scenes)
    codec = store.shared.autoencoder
    share = step_size.share(math.prod(parts_shape(size[1], size[0], codec.f, codec.sub)))
    config = store.manifest.config
    setting = Setting(config.autoencoder, share, views, len(names), config.triplane.starts)
    orders = Orders(
        data=str(inventory.root),
        scenes=scenes,
        scenes_per_wave=wishes.scenes_per_wave or 16,
        shared=store.manifest.hash,
        size=size,
        seed=42 if wishes.seed is None else wishes.seed,
        step_size=step_size,
        schedule=StageTwo(encode_visits=wishes.visits).fitted(setting),
        precision=wishes.precision or "int4",
    )
    return Plan(orders, make_waves(names, orders.scenes_per_wave), inventory.prints(names), left_out)


def _selectors(inventory: Inventory, wishes: Wishes) -> tuple[str, ...]:
    if wishes.scenes is not None:
        return wishes.scenes
    return () if is_remote(inventory.root) else split_of(inventory.root, METHOD, "--scenes")


def _sample(
    inventory: Inventory, names: Sequence[str], box: Tensor, usual: tuple[int, int]
) -> tuple[tuple[int, int], int]:
    """Find the size of most images and the usual number of training views in some scenes; warn if they leave a box.

    Where none of them can be read, the size is `usual`: what is broken is said when it is set aside.
    """
    with tempfile.TemporaryDirectory(prefix="tda_") as scratch:
        try:
            atlas = _some(inventory, names, Path(scratch))
        except TdaError:
            return usual, 1
        try:
            beyond = reach_out(box, atlas.scenes)
        except TdaError:
            beyond = ""
    if beyond:
        warn(
            f"Some of these scenes reach out of the store's box: {beyond} of its side. What lies outside is not"
            " seen. Scale them like the store's scenes."
        )
    return (atlas.width, atlas.height), atlas.train_views


def _some(inventory: Inventory, names: Sequence[str], scratch: Path) -> Atlas:
    """Read at most `SAMPLE` scenes. Raises TdaError where all of them are broken."""
    return read_atlas(inventory.stage(names[:: -(-len(names) // SAMPLE)], scratch))


def new_store(folder: Path, data: str, parts: SharedParts, about: dict[str, Any]) -> None:
    """Write a store without scenes. By default, its scenes will be shown as those of an atlas were taken.

    Its manifest comes last: whoever makes the same store at the same time writes the same bytes.
    """
    inventory = Inventory(data_here(place(data)))
    with tempfile.TemporaryDirectory(prefix="tda_") as scratch:
        views = SceneViews(_some(inventory, list(inventory.folders), Path(scratch)))
    write_shared_parts(folder, parts, views.usual_camera(parts.scenes.box), about)
