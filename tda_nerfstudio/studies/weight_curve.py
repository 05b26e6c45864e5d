"""Measure PSNR against bytes per scene, for several ways to keep scenes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from tda_nerfstudio.atlas.atlas import read_atlas
from tda_nerfstudio.atlas.images import ImageStore
from tda_nerfstudio.base.atomic import write_text
from tda_nerfstudio.base.checks import require_output
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.progress import track
from tda_nerfstudio.core.metrics import psnr
from tda_nerfstudio.core.view import View
from tda_nerfstudio.store.lighter import lighten
from tda_nerfstudio.store.precision import PRECISIONS, Precision
from tda_nerfstudio.store.store import Store
from tda_nerfstudio.studies.outputs import PLOTS


@dataclass(frozen=True)
class Point:
    """One way to keep scenes."""

    precision: Precision
    bases: int
    scene_bytes: float
    """Bytes of a scene alone, with its part of the file's header."""
    shared_bytes: int
    """Bytes of what all scenes share."""
    psnr: float
    """Mean over held-out views, in dB."""

    def total(self, scenes: int) -> float:
        """Compute the bytes per scene of a store of so many scenes, shared parts included."""
        return self.scene_bytes + self.shared_bytes / scenes


def draw_curve(folder: Path, data: Path, out: Path, scenes: int) -> str:
    """Measure and draw the curve; return it as a table. Raises TdaError when the atlas holds none of the scenes."""
    require_output(out, PLOTS)
    store, points = Store(folder), []
    names = list(store)
    names = [names[i * len(names) // min(scenes, len(names))] for i in range(min(scenes, len(names)))]
    truth = _held_out(data, names)
    bases = len(store.shared.scenes.base)
    ways: list[tuple[Precision, int]] = []
    ways.extend((precision, bases) for precision in PRECISIONS)
    ways.extend(("int4", max(bases // part, 1)) for part in (2, 4, 8) if bases)
    with TemporaryDirectory() as place:
        for i, (precision, kept) in enumerate(track(ways, "Keeping scenes in other ways")):
            lighter = lighten(store, Path(place) / str(i), kept or None, precision)
            points.append(_measure(lighter, precision, kept, truth))
    write_text(out.with_suffix(".json"), json.dumps([asdict(point) for point in points], indent=1) + "\n")
    _plot(points, out)
    return _table(points)


def _held_out(data: Path, names: Sequence[str]) -> dict[str, tuple[View, torch.Tensor]]:
    atlas, found = read_atlas(data), {}
    for scene in atlas.scenes:
        views = scene.test
        if scene.name in names and len(views):
            images = ImageStore(views.pictures, atlas.width, atlas.height).get(range(len(views))).permute(0, 3, 1, 2)
            found[scene.name] = views, images.float() / 255
    if not found:
        raise TdaError(f"{data} has no held-out views of {names[0]} ... {names[-1]}: name the atlas of these scenes.")
    return found


def _measure(store: Store, precision: Precision, bases: int, truth: dict[str, tuple[View, torch.Tensor]]) -> Point:
    values = [psnr(store[name].render(view), images) for name, (view, images) in truth.items()]
    own = sum(file.path.stat().st_size for file in store.files)
    return Point(precision, bases, own / len(store), store.size() - own, float(torch.cat(values).mean()))


def _table(points: Sequence[Point]) -> str:
    heads = ("micro planes", "base planes", "bytes a scene", "and once", "a scene at 1,000", "PSNR")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for p in points:
        once, whole = p.shared_bytes / 2**20, p.total(1000) / 2**20
        numbers = f"{p.scene_bytes:,.0f} | {once:.1f} MiB | {whole:.3f} MiB | {p.psnr:.3f} dB"
        lines.append(f"| {p.precision} | {p.bases} | {numbers} |")
    return "\n".join(lines)


def _plot(points: Sequence[Point], out: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for p in points:
        axes.plot(p.total(1000) / 2**20, p.psnr, "o" if p.bases == points[0].bases else "s")
        axes.annotate(f" {p.precision}, M = {p.bases}", (p.total(1000) / 2**20, p.psnr), fontsize=8)
    axes.set_xscale("log")
    axes.set(xlabel="MiB a scene at 1,000 scenes, everything counted", ylabel="PSNR on held-out views, dB")
    axes.grid(alpha=0.3)
    figure.savefig(out, dpi=120)
