"""Presets: a few runs over registered methods as YAML differences, made of plain nerfstudio commands."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tda_nerfstudio.core.errors import TdaError, suggest

KEYS = {"about", "atlas", "data", "set", "runs"}
RUN_KEYS = {"method", "set", "show", "expects"}
RUNS = "runs"
"""Where runs go, below the folder of everything that a preset makes; apart from an atlas that is made there."""


@dataclass(frozen=True)
class Run:
    """One ns-train run of a preset: its name is its timestamp, so that its folder is known before it starts."""

    name: str
    method: str
    options: dict[str, Any]
    show: bool = False
    expects: dict[str, list[float]] = field(default_factory=dict)

    def folder(self, out: Path, data: Path) -> Path:
        """Where nerfstudio keeps this run."""
        return out / RUNS / data.name / self.method / self.name


@dataclass(frozen=True)
class Preset:
    """An atlas and the runs on it."""

    path: Path
    about: str
    demo: dict[str, Any] | None
    data: Path | None
    runs: tuple[Run, ...]


def read_preset(path: Path) -> Preset:
    """Read and check a preset. Raises TdaError naming an unknown or missing key."""
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise TdaError(f"The preset {path} does not exist. Give a YAML file such as configs/demo.yml.") from None
    except yaml.YAMLError as error:
        raise TdaError(f"The preset {path} is not YAML: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("runs"), dict):
        raise TdaError(f"The preset {path} needs a `runs:` section that names at least one run.")
    _check_keys(content, KEYS, path, "the preset")
    runs = []
    for name, given in content["runs"].items():
        _check_keys(given, RUN_KEYS, path, f"run '{name}'")
        if "method" not in given:
            raise TdaError(f"{path}: run '{name}' names no method (tda-ae, tda-scenes or tda-rgb).")
        options = (content.get("set") or {}) | (given.get("set") or {})
        runs.append(Run(name, given["method"], options, bool(given.get("show")), given.get("expects") or {}))
    data = Path(content["data"]) if content.get("data") else None
    return Preset(path, str(content.get("about", "")).strip(), content.get("atlas"), data, tuple(runs))


def _check_keys(given: dict[str, Any], known: set[str], path: Path, where: str) -> None:
    for key in given:
        if key not in known:
            raise TdaError(f"{path}: unknown key '{key}' in {where}.{suggest(key, known)}")


def as_arguments(options: dict[str, Any]) -> list[str]:
    """Spell options as the command line does: `--a.b value`, lists as several values."""
    words = []
    for key, value in options.items():
        values = value if isinstance(value, list) else [value]
        words += [f"--{key}", *(str(v) for v in values)]
    return words


def train_command(run: Run, data: Path, out: Path) -> list[str]:
    """Spell a run's ns-train line; with the same timestamp, a run that was cut goes on from its last checkpoint."""
    words = ["ns-train", run.method, "--data", str(data), "--output-dir", str(out / RUNS), "--timestamp", run.name]
    return [*words, *as_arguments({"vis": "tensorboard"} | run.options)]


def run_preset(path: Path, out: Path | None = None, dry: bool = False) -> None:
    """Print and run every command of a preset that is not done yet; end with results and the way into the viewer.

    Raises TdaError when a command fails, or when a result is outside what the preset expects.
    """
    preset, started = read_preset(path), time.monotonic()
    out = (out or Path(path.stem)).resolve()
    if preset.about:
        print(preset.about, end="\n\n")
    data = _data(preset, out, dry)
    for run in preset.runs:
        folder = run.folder(out, data)
        if (folder / "finished.json").exists():
            print(f"# {run.name}: already finished in {folder}")
        else:
            _call(train_command(run, data, out), dry)
    for run in preset.runs:
        if run.show:
            _show(run.folder(out, data), out / run.name, dry)
    if not dry:
        _report(preset, out, data, time.monotonic() - started)


def _data(preset: Preset, out: Path, dry: bool) -> Path:
    if preset.demo is None:
        if preset.data is None:
            raise TdaError(f"{preset.path} names neither `data:` nor `atlas:`. Give one of them.")
        return (preset.path.parent / preset.data).resolve()
    data = out / "atlas"
    _call(["tda", "atlas", "demo", str(data), *as_arguments(preset.demo)], dry)
    return data


def _show(folder: Path, shown: Path, dry: bool) -> None:
    config = ["--load-config", str(folder / "config.yml")]
    _call(["ns-eval", *config, "--output-path", f"{shown}-metrics.json"], dry)
    _call(["tda", "sheet", *config, "--output", f"{shown}-sheet.png"], dry)
    _call(["tda", "render", *config, "--scene", "all", "--output", f"{shown}-turntable.mp4", "--frames", "48"], dry)


def _call(words: list[str], dry: bool) -> None:
    print("$", shlex.join(words), flush=True)
    if dry:
        return
    program = Path(sys.executable).with_name(words[0])
    code = subprocess.call([str(program) if program.exists() else words[0], *words[1:]])
    if code:
        raise TdaError(f"`{words[0]}` ended with exit code {code}; see above. Run the same preset again to go on.")


def _report(preset: Preset, out: Path, data: Path, seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table

    console, problems = Console(), []
    for run in preset.runs:
        folder = run.folder(out, data)
        metrics = json.loads((folder / "finished.json").read_text())["metrics"]
        table = Table(title=f"{run.name} ({run.method}), held-out views", title_justify="left")
        for heading in ("scene", "PSNR", "SSIM", "autoencoder alone"):
            table.add_column(heading, justify="left" if heading == "scene" else "right")
        for name, scene in [*metrics["scenes"].items(), ("mean", metrics)]:
            table.add_row(name, f"{scene['psnr']:.2f}", f"{scene['ssim']:.3f}", f"{scene['ceiling_psnr']:.2f}")
        console.print(table)
        for key, (low, high) in run.expects.items():
            if not low <= metrics[key] <= high:
                problems.append(f"{run.name}: {key} is {metrics[key]:.3f}, expected {low} to {high}")
        if run.show:
            print(f"Pictures: {out / run.name}-sheet.png, {out / run.name}-turntable.mp4")
            print(f"Look around in it:\n  ns-viewer --load-config {folder / 'config.yml'}")
    print(f"Took {seconds / 60:.1f} minutes.")
    if problems:
        raise TdaError("The preset ran, but not as expected. " + "; ".join(problems))
