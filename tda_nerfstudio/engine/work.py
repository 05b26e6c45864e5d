"""What a worker does: learn one wave of a plan, from its images to its file in the store."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from tda_nerfstudio.atlas.atlas import Atlas, read_atlas
from tda_nerfstudio.atlas.inventory import DATA_VARIABLE, Inventory, data_here
from tda_nerfstudio.base.errors import TdaError, listed
from tda_nerfstudio.base.places import FULL, is_remote, place
from tda_nerfstudio.engine.plan import Orders
from tda_nerfstudio.learning.learn_wave import LearntWave, learn_wave
from tda_nerfstudio.store.aside import put_aside, take_back
from tda_nerfstudio.store.manifest import Manifest
from tda_nerfstudio.store.scene_files import write_scenes
from tda_nerfstudio.store.shared_parts import SharedParts, is_store
from tda_nerfstudio.store.store import SCENES

FAR = 20
"""A scene whose cameras are this many diagonals of the store's box away has another unit of length."""


class MachineError(TdaError):
    """Something is wrong with this machine and not with the scenes, which another machine can learn."""


@dataclass(frozen=True)
class Report:
    """What became of a wave. Only names, numbers and texts, as it travels between machines."""

    psnr: dict[str, float | None] = field(default_factory=dict)
    """Of each scene that is in the store now, in dB; None without held-out views."""
    aside: dict[str, str] = field(default_factory=dict)
    """The reason for each scene that cannot be learnt."""
    seconds: dict[str, float] = field(default_factory=dict)
    """What `read`, `learn` and `publish` took."""


def learn_job(
    store: Path,
    orders: Orders,
    prints: Mapping[str, str],
    parts: SharedParts,
    stopped: Callable[[], bool] = lambda: False,
) -> Report | None:
    """Learn the scenes that `prints` names with their fingerprints, and put them into a store.

    Nobody else needs to know of it: a second call gives the same scenes again. Returns None when `stopped` says so.
    Raises MachineError where this machine has not the data, or no room for it; TdaError for data that has changed.
    """
    began = time.perf_counter()
    check_store(store, orders)
    with of_machine(), tempfile.TemporaryDirectory(prefix="tda_") as scratch, _one_thread():
        atlas = _read(store, orders, prints, parts, Path(scratch))
        read = time.perf_counter()
        names, size, schedule = [name for name in prints if name in atlas.names], orders.step_size, orders.schedule
        learnt: LearntWave | None = LearntWave([], {"scenes": {}}, {})
        if names:
            learnt = learn_wave(atlas, parts, names, orders.seed, schedule=schedule, size=size, stopped=stopped)
        if learnt is None:
            return None
        done = time.perf_counter()
        aside = atlas.broken | learnt.aside
        if aside:  # not because this machine has lost sight of them meanwhile
            check_data(store, orders, {name: prints[name] for name in aside})
        _publish(store, orders, learnt, aside)
    seconds = {"read": read - began, "learn": done - read, "publish": time.perf_counter() - done}
    psnr = {scene.record.name: scene.record.metrics.get("psnr") for scene in learnt.scenes}
    return Report(psnr, aside, {key: round(value, 3) for key, value in seconds.items()})


def _read(store: Path, orders: Orders, prints: Mapping[str, str], parts: SharedParts, scratch: Path) -> Atlas:
    """Bring scenes to this machine and read them, after making sure that they are those of the plan."""
    inventory = check_data(store, orders, prints)
    atlas = read_atlas(inventory.stage(prints, scratch), size=orders.size)
    far, good, box = {}, [], parts.scenes.box.cpu()
    for scene in atlas.scenes:
        distance = float((scene.train.c2w[:, :, 3] - box.mean(0)).norm(dim=-1).median())
        if distance > FAR * float((box[1] - box[0]).norm()):
            far[scene.name] = f"Scene '{scene.name}': its cameras are {distance:.3g} from the middle of the box that"
            far[scene.name] += " all scenes of the store share. Scale it like the others."
        else:
            good.append(scene)
    return replace(atlas, root=inventory.root, scenes=tuple(good), broken=atlas.broken | far)


def check_data(store: Path, orders: Orders, prints: Mapping[str, str], inventory: Inventory | None = None) -> Inventory:
    """Find a plan's scenes on this machine.

    Raises MachineError where the atlas is not there, and TdaError where scenes are gone or have changed.
    """
    inventory = inventory or Inventory(data_here(place(orders.data)), list(prints))
    data, found = inventory.root, inventory.prints(prints)
    gone = [name for name, print_ in found.items() if not print_]
    if len(gone) == len(prints) and _is_empty(data):
        raise MachineError(
            f"{socket.gethostname()} does not have the data: {data} holds none of {listed(prints)}. Put the atlas"
            f" there, mount it at the same path, or set {DATA_VARIABLE} on that machine to the folder where it has it."
        )
    changed = [name for name in prints if found[name] not in ("", prints[name])]
    if gone or changed:
        kinds = (changed, "changed scene"), (gone, "missing scene")
        facts = [listed(names, what) for names, what in kinds if names]
        raise TdaError(
            f"The atlas {data} is not what it was when the plan of {store} was made: {'; '.join(facts)}. Put it back"
            " as it was, or add --replan to plan anew for all scenes that are not learnt yet."
        )
    return inventory


def _publish(store: Path, orders: Orders, learnt: LearntWave, aside: Mapping[str, str]) -> None:
    """Write a wave into the store: all its scenes in one file, which appears when it is whole."""
    if learnt.scenes:
        write_scenes(store / SCENES, orders.shared, learnt.scenes, orders.precision)
    for scene in learnt.scenes:
        take_back(store, scene.record.name)
    for name, reason in aside.items():
        put_aside(store, name, reason, {"data": orders.data, "seed": orders.seed})


def _is_empty(data: Path) -> bool:
    """Whether a machine has nothing where the atlas should be, as where a disk is not mounted."""
    return not is_remote(data) and (not data.is_dir() or next(data.iterdir(), None) is None)


def check_store(store: Path, orders: Orders) -> None:
    """Raise MachineError where this machine does not see the plan's store: what it wrote would be lost."""
    if not is_store(store) or Manifest.read(store).hash != orders.shared:
        raise MachineError(
            f"{socket.gethostname()} does not see the store {store}, or another one than the plan's. Mount it there at"
            " the same path, or give one that all machines reach, such as s3://BUCKET/STORE."
        )


@contextmanager
def of_machine() -> Iterator[None]:
    """Turn an error of the disk into one that says which machine failed, and what to do."""
    try:
        yield
    except RuntimeError as error:
        if "CUDA error" not in str(error):
            raise
        raise MachineError(f"{socket.gethostname()}: its GPU does not work any more ({str(error)[:200]}).") from error
    except OSError as error:
        room = f"Make room in {tempfile.gettempdir()}, or set TMPDIR there to a larger disk"
        advice = room if error.errno in FULL else "Look at its disks"
        raise MachineError(
            f"{socket.gethostname()} failed: {error}. {advice}, then run the same line again."
        ) from error


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread of a CPU: sums have the same bits on any number of cores, and workers fill the others."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
