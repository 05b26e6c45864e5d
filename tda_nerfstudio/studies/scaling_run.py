"""Measure what the simulation of `scaling` needs, and how far that is from a real run with two workers."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median, pstdev

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.places import place
from tda_nerfstudio.engine.drive import How, Result, learn_inventory
from tda_nerfstudio.engine.on_ray import Cluster
from tda_nerfstudio.engine.planning import Wishes
from tda_nerfstudio.store.manifest import MANIFEST
from tda_nerfstudio.store.shared_parts import GROWTH, TENSORS
from tda_nerfstudio.store.store import Store
from tda_nerfstudio.studies.scaling import Times, simulate, table, write_times

SMALL, USUAL = 4, 16
"""Scenes of a wave: two sizes tell what a wave takes besides its scenes."""


def measure(data: str, store: str, out: Path, scenes: int, visits: float | None, price: float) -> str:
    """Learn the same scenes by one worker of Ray in small and in usual waves, and by two; return what was found.

    Writes scaling.json and scaling.md into a folder. Raises TdaError for fewer than 32 scenes.
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
            return result, time.monotonic() - began, folder

        small, _, folder = learn(1, SMALL)
        shutil.rmtree(folder)
        one, alone, folder = learn(1, USUAL)
        times = _times(small, one, folder, scenes)
        _, together, _ = learn(2, USUAL)
    foreseen = 3600 * simulate(scenes, 2, times, per_wave=USUAL).hours
    ratio, off = _rate(one, scenes, alone), foreseen / together - 1
    facts = {"scenes": scenes, "visits": visits, "one_worker": alone, "two_workers": together, "foreseen": foreseen}
    write_times(out / "scaling.json", times, facts)
    found = table(times, price=price)
    words = (
        f"{scenes} scenes took {alone:.0f} s with one worker and {together:.0f} s with two, start included:"
        f" {alone / together:.2f} times as fast. Once started, one does {ratio:.2f} scenes/s. The simulation says"
        f" {foreseen:.0f} s for two, which is {100 * abs(off):.0f} % {'more' if off > 0 else 'less'}.\n"
    )
    (out / "scaling.md").write_text(f"{words}\n{found}")
    return f"{words}\n{found}"


def _rate(result: Result, scenes: int, seconds: float) -> float:
    return scenes / (seconds - result.clock["planning"] - result.clock["ready"] - result.clock["first"])


def _times(small: Result, usual: Result, folder: Path, scenes: int) -> Times:
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
        driver_start=usual.clock["ready"],
        listing=median([small.clock["planning"], usual.clock["planning"]]) / scenes,
        dispatch=usual.clock["driver"] / len(long),
        opening=opening,
        scene_bytes=kept / scenes,
        shared_bytes=opened.size() - kept,
    )


def _waves(result: Result) -> Sequence[float]:
    return [sum(report.seconds.values()) for report in result.reports]
