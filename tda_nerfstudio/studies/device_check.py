"""What a device is good for, in minutes, on a machine that has torch and little else.

`python -m tda_nerfstudio.studies.device_check OUT` needs torch, numpy, jaxtyping, safetensors, pyyaml, pillow
and rich alone. It writes device_check.json and device_check.md. Its exit code is 1 when anything failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from tda_nerfstudio.atlas.atlas import read_atlas
from tda_nerfstudio.base.atomic import require_writable, write_text
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.hardware import peak_memory
from tda_nerfstudio.store.manifest import SharedConfig
from tda_nerfstudio.studies.bench.agreement import CHECKS, check_agreement
from tda_nerfstudio.studies.bench.headline import compare
from tda_nerfstudio.studies.bench.machine import describe_conditions, warnings
from tda_nerfstudio.studies.bench.memory import peak_bytes
from tda_nerfstudio.studies.bench.report import escaped
from tda_nerfstudio.studies.bench.run import LEAST, choose_device
from tda_nerfstudio.studies.bench.steps import StepCases
from tda_nerfstudio.studies.bench.timing import Case, Timing, spread, time_group
from tda_nerfstudio.studies.bench.views import ViewCases
from tda_nerfstudio.studies.bench.workshop import BenchSizes, Workshop
from tda_nerfstudio.studies.short_stages import Length, Quality, Show, draw_atlas, learn

BUDGET = 450.0
"""Seconds that all parts together may take."""
LEARNT, APART = 3.0, 1.0
"""dB by which scenes must be better than blank images, and that a device may differ from the CPU."""
SAY_EVERY = 5.0
"""Seconds between two lines of progress."""
LAST = 8
"""Lines that are kept of a traceback."""
FEW, MANY = 10, 1000
"""Scenes in the table of a step whose time must not depend on them."""
HEADINGS = ("part", "what", "measured (median ± spread, rounds)", "wanted", "")


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    part: str
    what: str
    measured: str
    wanted: str = ""
    holds: bool | None = None
    """None where nothing is wanted."""

    @property
    def cells(self) -> list[str]:
        """The line's words."""
        verdict = {True: "ok", False: "FAILED", None: ""}[self.holds]
        return [self.part, self.what, self.measured, self.wanted, verdict]


@dataclass
class DeviceCheck:
    """What is asked for, and what is found."""

    out: Path
    device: torch.device
    data: Path | None = None
    budget: float = BUDGET
    sizes: BenchSizes = field(default_factory=lambda: BenchSizes(many_scenes=(FEW, MANY)))
    length: Length = field(default_factory=Length)
    findings: list[Finding] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    """Every error, sample and reason, by part."""

    def __post_init__(self) -> None:
        self.machine, self.began = describe_conditions(self.device), time.monotonic()
        for warning in warnings(self.machine):
            self.findings.append(Finding("machine", warning, ""))

    @property
    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self.budget - (time.monotonic() - self.began)

    def run(self) -> bool:
        """Do one part after the other as long as there is time, also after a failure; say whether all is well."""
        for name, (work, needs) in PARTS.items():
            if self.left < needs:
                why = f"skipped: it may take {needs:.0f} s, {max(self.left, 0):.0f} s are left"
                self.findings.append(Finding(name, "all of it", why))
                self.say(f"{name}: {why}")
                continue
            self.say(f"{name} begins")
            try:
                for finding in work(self, self.shower(name)):
                    self.findings.append(finding)
            except Exception:
                self.findings.append(self.failure(name, "an error ended it"))
            self.write()
        peak = f"{peak_memory() / 1e6:,.0f} MB"
        self.findings.append(Finding("memory", "most that this process held, without the GPU's", peak))
        self.write()
        return all(finding.holds is not False for finding in self.findings)

    def failure(self, part: str, what: str) -> Finding:
        """Record the exception at hand by the end of its traceback."""
        last = traceback.format_exc().strip().splitlines()[-LAST:]
        self.raw.setdefault("errors", {})[f"{part}: {what}"] = last
        self.say("\n".join([f"{part}: {what} FAILED", *last]))
        return Finding(part, what, last[-1], holds=False)

    def say(self, text: str) -> None:
        """Print a line with the time that is left."""
        print(f"[{max(self.left, 0):3.0f} s left] {text}", flush=True)

    def shower(self, part: str) -> Show:
        """Make a function that is told how far a part is, and says so now and then."""
        said, first = time.monotonic(), None

        def show(what: str, done: float, total: float) -> None:
            nonlocal said, first
            now, ahead = time.monotonic(), ""
            if total and first is None:
                first = now, done
            if first is not None and done > first[1]:
                ahead = f", about {(now - first[0]) * (total - done) / (done - first[1]):.0f} s to go"
            if what and now - said >= SAY_EVERY:
                said = now
                self.say(f"{part}: {what}{ahead}")

        return show

    def write(self) -> None:
        """Write both files."""
        sizes = {"sizes": asdict(self.sizes), "length": asdict(self.length), "data": str(self.data or "ellipsoids")}
        content = {"machine": self.machine, "budget": self.budget, "settings": sizes, "raw": self.raw}
        content["findings"] = [asdict(finding) for finding in self.findings]
        write_text(self.out / "device_check.json", json.dumps(content, indent=1, default=str))
        machine, image, planes = self.machine, self.sizes.image, self.sizes.triplane
        parts = ["device", "processor", "time"]
        rows = [HEADINGS, ["---"] * len(HEADINGS), *(finding.cells for finding in self.findings)]
        lines = [
            "# Device check",
            f"{', '.join(machine[part] for part in parts)}, {machine['cores']} cores, "
            + ", ".join(f"{name} {version}" for name, version in machine["versions"].items()),
            f"Images of {image} x {image} pixels; Tri-Planes: R = {planes.resolution}, F_mic = {planes.micro_channels},"
            f" F_mac = {planes.macro_channels}, M = {planes.bases}.",
            "\n".join("| " + " | ".join(map(escaped, row)) + " |" for row in rows),
        ]
        write_text(self.out / "device_check.md", "\n\n".join(lines) + "\n")


def agreement(check: DeviceCheck, show: Show) -> Iterator[Finding]:
    """Compare values and gradients with those in float64 on the CPU."""
    raw = check.raw["agreement"] = []
    shop = Workshop(check.sizes, torch.device("cpu"))
    for i, name in enumerate(CHECKS):
        show(name, i, len(CHECKS))
        try:
            found = check_agreement(name, shop, check.device)
        except Exception:
            yield check.failure("agreement", name)
            continue
        raw.append(asdict(found))
        error, quantity = found.worst
        yield Finding(
            "agreement",
            f"{name}: error of {quantity}, the largest of {len(found.errors)}",
            f"{error:.1e}",
            f"<= {found.tolerance:g}",
            found.holds,
        )


def stages(check: DeviceCheck, show: Show) -> Iterator[Finding]:
    """Learn both stages on the device and on the CPU from the same seed."""
    sizes, qualities = check.sizes, check.raw.setdefault("stages", {})
    with tempfile.TemporaryDirectory() as folder:
        atlas = read_atlas(check.data) if check.data else draw_atlas(Path(folder), check.length, sizes.image, 0)
        config = SharedConfig(sizes.triplane, sizes.autoencoder, sizes.sampling)
        found: dict[str, Quality] = {}
        for device in dict.fromkeys((torch.device("cpu"), check.device)):
            began = time.monotonic()
            found[device.type], peak = peak_bytes(
                device, lambda device=device: learn(atlas, device, check.length, config, 0, show)
            )
            seconds = time.monotonic() - began
            qualities[device.type] = asdict(found[device.type]) | {"seconds": seconds, "peak_bytes": peak}
            yield Finding("stages", f"both, on {device.type}", f"{seconds:.0f} s, {_megabytes(peak)}")
    yield from judged(found)


def judged(found: dict[str, Quality]) -> Iterator[Finding]:
    """Compare what was learnt with blank images, and a device with the CPU."""
    for stage in ("stage_one", "stage_two"):
        values, name = {kind: getattr(quality, stage) for kind, quality in found.items()}, stage.replace("_", " ")
        for kind, value in values.items():
            least = found[kind].blank + LEARNT
            what = f"PSNR of held-out views after {name}, {kind}"
            yield Finding("stages", what, f"{value:.2f} dB", f">= {least:.2f} (blank + {LEARNT:g})", value >= least)
            if kind != "cpu":
                apart = value - values["cpu"]
                what = f"PSNR after {name}, {kind} - cpu"
                yield Finding("stages", what, f"{apart:+.2f} dB", f"within {APART:g}", abs(apart) <= APART)


def steps(check: DeviceCheck, show: Show) -> Iterator[Finding]:
    """Time every phase's step, and a view, beside RGB Tri-Planes."""
    shop = Workshop(check.sizes, check.device)
    cases = [*StepCases(shop, quick=True).phases(), *ViewCases(shop, check.out, quick=True).views()]
    rows = yield from _timed(check, "steps", cases, show)
    pairs = [
        ("Encode-Scene step, RGB on as many images / ours", "rgb: rgb, whole image", "ours: encode-scene, whole images")
    ]
    pairs += [("Decode-Scene step, RGB / ours", "rgb: rgb, whole image", "ours: decode-scene")]
    for what, above, below in pairs:
        yield _ratio("steps", f"{what}, per image", rows.get(above), rows.get(below), images=True)
    yield _ratio("steps", "a view, RGB / ours", rows.get("rgb: view"), rows.get("ours: view"))


def many_scenes(check: DeviceCheck, show: Show) -> Iterator[Finding]:
    """Time Encode-Scene's step with few and with many scenes in the table."""
    cases = StepCases(Workshop(check.sizes, check.device), quick=True).by_scenes()
    rows, (few, many) = (yield from _timed(check, "many scenes", cases, show)), check.sizes.many_scenes
    for path, name in (("ours", "encode-scene"), ("rgb", "rgb, random rays")):
        above, below = (rows.get(f"{path}: {name}, {count} scenes") for count in (many, few))
        yield _ratio("many scenes", f"{path}: {name}, {many} / {few} scenes", above, below)


def _timed(
    check: DeviceCheck, part: str, cases: Sequence[Case], show: Show
) -> Generator[Finding, None, dict[str, Timing]]:
    """Time what is no part of the published design; give the timings by their keys."""
    ours, until = [case for case in cases if case.path != "plain"], time.monotonic() + PARTS[part][1]
    rows = time_group(ours, LEAST, check.device, show, until)
    check.raw[part] = [asdict(row) for row in rows]
    for row in rows:
        measured = f"skipped: {row.skipped}"
        if row.samples:
            low, middle, high = spread(row.seconds)
            each = f"{1e3 * middle:.1f} ms ± {50 * (high - low) / middle:.0f} % ({len(row.samples)})"
            measured = f"{each}, {_megabytes(row.peak_bytes)}, {row.held_bytes / 1e6:,.0f} MB of state"
        yield Finding(part, row.key, measured)
    return {row.key: row for row in rows}


def _ratio(part: str, what: str, above: Timing | None, below: Timing | None, images: bool = False) -> Finding:
    found = compare(what, above, below, images=images)
    return Finding(part, what, found.why_not if found.value is None else f"{found.value:.2f} x")


def _megabytes(peak: int | None) -> str:
    return "peak not known" if peak is None else f"peak {peak / 1e6:,.0f} MB"


PARTS: dict[str, tuple[Callable[[DeviceCheck, Show], Iterator[Finding]], float]] = {
    "agreement": (agreement, 60),
    "stages": (stages, 130),
    "steps": (steps, 100),
    "many scenes": (many_scenes, 60),
}
"""What is done, and the seconds that it may take on two busy cores."""


def main(words: Sequence[str] | None = None) -> int:
    """Read the command line, check, and say where the report is; 1 when anything failed."""
    parser = argparse.ArgumentParser(prog="device_check", description="Check and time what a device computes.")
    parser.add_argument("out", type=Path, help="folder for device_check.json and device_check.md")
    parser.add_argument("--device", choices=("cuda", "cpu"), help="by default a GPU where there is one")
    parser.add_argument("--data", type=Path, help="an atlas to learn; vehicles of ellipsoids by default")
    parser.add_argument("--seconds", type=float, default=BUDGET, help="parts that may take longer are skipped")
    given = parser.parse_args(words)
    try:
        require_writable(given.out)
        check = DeviceCheck(given.out, choose_device(given.device), given.data, given.seconds)
    except TdaError as error:
        print(f"device_check: {error}", file=sys.stderr)
        return 1
    well = check.run()
    print(f"{'All is well' if well else 'SOMETHING FAILED'}: {given.out}/device_check.md")
    return 0 if well else 1


if __name__ == "__main__":
    raise SystemExit(main())
