"""Measure what the simulation of `scaling` needs, and how far that is from a real run with two workers."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, pstdev

from tda_nerfstudio.atlas.inventory import Inventory, data_here
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.places import place
from tda_nerfstudio.engine.drive import How, Result, learn_inventory
from tda_nerfstudio.engine.on_ray import Cluster
from tda_nerfstudio.engine.planning import Wishes
from tda_nerfstudio.store.manifest import MANIFEST
from tda_nerfstudio.store.shared_parts import GROWTH, TENSORS
from tda_nerfstudio.store.store import Store
from tda_nerfstudio.studies.scaling import Times, read_times, simulate, table, write_times

NAME = "scaling.json"
SMALL, USUAL = 4, 16
"""Scenes of a wave: two sizes tell what a wave takes besides its scenes."""


def scaling(
    data: str, store: str, out: Path, scenes: int, visits: float | None, price: float, seconds: float | None = None
) -> str:
    """Measure unless the folder has a measurement, write the tables beside it, and return them.

    `seconds` are those of a scene to simulate with, in place of the measured ones, as of larger images.
    """
    if not (out / NAME).is_file():
        measure(data, store, out, scenes, visits)
    times, facts = read_times(out / NAME), json.loads((out / NAME).read_text())
    if seconds is not None:
        times = replace(times, scene=seconds)
    alone, together, off = facts["one_worker"], facts["two_workers"], facts["foreseen"] / facts["two_workers"] - 1
    compared = f"{100 * abs(off):.0f} % {'more' if off > 0 else 'less'}"
    words = (
        f"{facts['scenes']} scenes took {alone:.0f} s with one worker and {together:.0f} s with two, with their start."
        f" The simulation says {facts['foreseen']:.0f} s for two, which is {compared}."
    )
    found = f"{words}\n\nSimulated with {times.scene:.3g} s a scene:\n\n{table(times, price=price)}"
    (out / "scaling.md").write_text(found)
    return found


def measure(data: str, store: str, out: Path, scenes: int, visits: float | None) -> None:
    """Learn the same scenes by one worker of Ray in small and in usual waves, and by two; write scaling.json.

    Raises TdaError for fewer than 32 scenes.
    """
    if scenes < 2 * USUAL:
        raise TdaError(f"--scenes {scenes}: {2 * USUAL} are needed at least, for two waves of {USUAL}.")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tda_") as scratch:

        def learn(workers: int, per_wave: int) -> tuple[Result, float, Path]:
            folder = Path(scratch) / f"{workers}-{per_wave}"
            folder.mkdir()
            for name in (MANIFEST, TENSORS, GROWTH):
                (folder / name).write_bytes((place(store) / name).read_bytes())
            wishes = Wishes((f"0:{scenes}",), per_wave, visits=visits)
            began = time.monotonic()
            result = learn_inventory(data, str(folder), wishes, How("ray", Cluster(workers=workers)))
            if result.code or len(result.reports) < scenes // per_wave:
                raise TdaError(f"The measurement was stopped, or {data} has fewer than {scenes} good scenes.")
            return result, time.monotonic() - began, folder

        small, _, folder = learn(1, SMALL)
        shutil.rmtree(folder)
        one, alone, folder = learn(1, USUAL)
        times = _times(small, one, folder, scenes, _listing(data))
        _, together, _ = learn(2, USUAL)
    foreseen = 3600 * simulate(scenes, 2, times, per_wave=USUAL).hours
    facts = {"scenes": scenes, "visits": visits, "one_worker": alone, "two_workers": together, "foreseen": foreseen}
    write_times(out / NAME, times, facts)


def _listing(data: str) -> float:
    """Time how long looking at a scene takes, over the whole atlas."""
    began = time.monotonic()
    inventory = Inventory(data_here(place(data)))
    count = len(inventory.prints(list(inventory.folders)))
    return (time.monotonic() - began) / count


def _times(small: Result, usual: Result, folder: Path, scenes: int, listing: float) -> Times:
    """Take the times apart: what a wave takes is so much for itself and so much for each of its scenes."""
    short, long = _waves(small), _waves(usual)
    scene = max((mean(long) - mean(short)) / (USUAL - SMALL), 0.0)
    wave = max(mean(short) - SMALL * scene, 0.0)
    began = time.process_time()
    opened = Store(folder)
    opening = (time.process_time() - began) / max(len(opened.files), 1)
    kept = sum(file.path.stat().st_size for file in opened.files)
    return Times(
        scene=scene,
        wave=wave,
        spread=pstdev(long) / mean(long),
        worker_start=usual.clock["first"],
        driver_start=usual.clock["ready"] + max(usual.clock["planning"] - scenes * listing, 0.0),
        listing=listing,
        dispatch=usual.clock["driver"] / len(long),
        opening=opening,
        scene_bytes=kept / scenes,
        shared_bytes=opened.size() - kept,
    )


def _waves(result: Result) -> Sequence[float]:
    return [sum(report.seconds.values()) for report in result.reports]
