"""The figures that matter, each a ratio with the target beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tda_nerfstudio.studies.bench.quality import Mark
from tda_nerfstudio.studies.bench.timing import Timing, paired, spread
from tda_nerfstudio.studies.bench.workshop import BenchSizes


@dataclass(frozen=True)
class Comparison:
    """One line: what is compared, the value with its quartiles, the target and whether it was reached."""

    what: str
    unit: str
    """"x", "dB", ..."""
    target: str
    low: float | None = None
    value: float | None = None
    high: float | None = None
    by_cpu: float | None = None
    """The same ratio of CPU seconds, which other load on the machine hardly changes."""
    reached: bool | None = None
    why_not: str = ""
    """Why there is no value."""

    @property
    def verdict(self) -> str:
        """Say it in a word."""
        return self.why_not or {True: "reached", False: "MISSED", None: "–"}[self.reached]


RATIOS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    (
        "Encode-Scene step, 32 images: plain, all rays / ours, random rays",
        "plain: encode-scene",
        "ours: encode-scene",
        {"at_least": 4},
    ),
    ("  the same, all of ours moves too", "plain: encode-scene", "ours: encode-scene, all moves", {}),
    ("  the same, ours on whole images", "plain: encode-scene", "ours: encode-scene, whole images", {"at_least": 4}),
    (
        "  the same, one ray a latent pixel",
        "plain: encode-scene",
        "ours: encode-scene, whole images, one ray",
        {},
    ),
    (
        "Encode-Scene step of ours: {many} / {few} scenes",
        "ours: encode-scene, {many} scenes",
        "ours: encode-scene, {few} scenes",
        {"at_most": 1.1},
    ),
    (
        "  the same, plain: {many} / {few} scenes",
        "plain: encode-scene, {many} scenes",
        "plain: encode-scene, {few} scenes",
        {},
    ),
    (
        "RGB step on a whole image, plain / Decode-Scene of ours, per image",
        "plain: rgb, whole image",
        "ours: decode-scene",
        {"at_least": 20, "images": True},
    ),
    (
        "RGB step on a whole image, our RGB path / Decode-Scene of ours, per image",
        "rgb: rgb, whole image",
        "ours: decode-scene",
        {"images": True},
    ),
    ("one view: RGB on the plain path / ours", "plain: view, rgb", "ours: view", {"at_least": 15}),
    ("  the same, 2 x 2 rays a latent pixel", "plain: view, rgb", "ours: view, 2 x 2 rays", {"at_least": 15}),
    ("  the same, one ray a latent pixel", "plain: view, rgb", "ours: view, one ray", {"at_least": 30}),
    ("  one view: our RGB path / ours", "rgb: view", "ours: view", {}),
)
"""What is compared, the row that is divided, the row that divides it, and the target."""


def compare(
    what: str,
    above: Timing | None,
    below: Timing | None,
    at_least: float = 0.0,
    at_most: float = 0.0,
    images: bool = False,
) -> Comparison:
    """Divide two cases' seconds round by round, per image with `images`. Without a bound there is no target."""
    target = f">= {at_least:g}" if at_least else f"<= {at_most:g}" if at_most else ""
    for row in (above, below):
        if row is None or not row.samples:
            why = "not run" if row is None else f"{row.key} was skipped"
            return Comparison(what, "x", target, why_not=why)
    assert above is not None and below is not None
    share = below.images / above.images if images else 1.0
    low, value, high = (share * ratio for ratio in spread(paired(above, below)))
    cpu = share * spread([a.cpu / max(b.cpu, 1e-9) for a, b in zip(above.samples, below.samples, strict=True)])[1]
    reached = value >= at_least if at_least else value <= at_most if at_most else None
    return Comparison(what, "x", target, low, value, high, cpu, reached)


def headline(rows: Mapping[str, Sequence[Timing]], marks: Sequence[Mark], sizes: BenchSizes) -> list[Comparison]:
    """Compare what was timed in any group, and the quality curves. What was not run says so."""
    found = {row.key: row for group in rows.values() for row in group}
    counts = {"few": min(sizes.many_scenes), "many": max(sizes.many_scenes)}
    return [
        compare(what.format(**counts), found.get(above.format(**counts)), found.get(below.format(**counts)), **target)
        for what, above, below, target in RATIOS
    ] + qualities(marks)


def qualities(marks: Sequence[Mark]) -> list[Comparison]:
    """Compare the paths after equal visits: the least lead of ours over all marks, and the loss at the end."""
    ours, plain = ([mark for mark in marks if mark.path == path] for path in ("ours", "plain"))
    lead, loss = (
        "PSNR after equal visits: ours - plain, least of all marks",
        "loss after equal visits: ours / plain, last mark",
    )
    if not ours or len(ours) != len(plain):
        return [Comparison(lead, "dB", ">= 0", why_not="not run"), Comparison(loss, "x", "<= 1", why_not="not run")]
    least = min(a.psnr - b.psnr for a, b in zip(ours, plain, strict=True))
    share = ours[-1].loss / plain[-1].loss
    return [
        Comparison(lead, "dB", ">= 0", value=least, reached=least >= 0),
        Comparison(loss, "x", "<= 1", value=share, reached=share <= 1),
    ]
