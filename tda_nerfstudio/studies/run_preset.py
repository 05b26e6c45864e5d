"""Run presets: print and run their nerfstudio commands, skip what is done, and report the results."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tda_nerfstudio.base.atomic import require_writable
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.metrics import METRICS
from tda_nerfstudio.plugin.finished import read_finished
from tda_nerfstudio.plugin.quiet import as_environment
from tda_nerfstudio.plugin.viewer.address import viewer_command
from tda_nerfstudio.studies.preset import Preset, Run, read_preset, require_known_options
from tda_nerfstudio.studies.study import RUNS, Study


def as_arguments(options: dict[str, Any]) -> list[str]:
    """Write options as words of a command line: `--a.b value`. A list becomes several values."""
    words = []
    for key, value in options.items():
        values = value if isinstance(value, list) else [value]
        words += [f"--{key}", *(str(v) for v in values)]
    return words


def train_command(run: Run, study: Study) -> list[str]:
    """Write the ns-train command of a run. With the same timestamp, a stopped run goes on from its last checkpoint."""
    words = ["ns-train", run.method, "--data", str(study.data)]
    words += ["--output-dir", str(study.out / RUNS), "--timestamp", run.name]
    source = {"pipeline.autoencoder": study.folder(run.source)} if run.source else {}
    return [*words, *as_arguments({"vis": "tensorboard"} | source | run.options)]


def run_preset(
    path: Path, out: Path | None = None, data: Path | None = None, results: Path | None = None, dry: bool = False
) -> None:
    """Print and run every command of a preset that is not done yet, keep a row for each run, and print the results.

    Raises TdaError if a command fails, or if a result is outside the range that the preset expects.
    """
    started = time.monotonic()
    study = open_study(read_preset(path), out, data, results)
    if not dry:
        require_writable(study.out)
        require_writable(study.results)
    preset, missing = study.preset, study.missing()
    if preset.about:
        print(preset.about, end="\n\n")
    if missing and not dry:
        require_known_options(preset)
    if missing or dry:
        _atlas(study, dry)
    for number, run in enumerate(preset.runs, 1):
        minutes = (time.monotonic() - started) / 60
        print(f"# Run {number} of {len(preset.runs)}: {run.name}, {minutes:.1f} minutes so far", flush=True)
        _train(run, study, run in missing, dry)
    for run in preset.runs:
        if run.show:
            _show(run, study, dry)
    print(f"# A row for each run: {study.results}")
    if not dry:
        _report(study, time.monotonic() - started)


def open_study(preset: Preset, out: Path | None, data: Path | None, results: Path | None) -> Study:
    """Decide where a preset's files are. By default, runs lie below a folder named after it, and rows near the preset.

    Raises TdaError if neither the preset nor `data` names an atlas.
    """
    out = (out or Path(preset.path.stem)).resolve()
    if data is not None:
        preset = Preset(preset.path, preset.about, None, data, preset.runs)
    elif preset.data is not None:
        data = preset.path.parent / preset.data
    elif preset.demo is not None:
        data = out / "atlas"
    else:
        raise TdaError(
            f"{preset.path} names neither `data:` nor `atlas:`: say which atlas, a folder with a sub-folder for each"
            f" scene, with `tda run {preset.path} --data PATH`."
        )
    return Study(preset, out, data.resolve(), (results or _results(preset.path)).resolve())


def _results(path: Path) -> Path:
    """Return the folder of rows: configs/results/NAME for configs/NAME.yml, also for presets in folders of configs."""
    path = path.resolve()
    root = next((folder for folder in path.parents if folder.name == "configs"), path.parent)
    return root / "results" / path.relative_to(root).with_suffix("")


def _atlas(study: Study, dry: bool) -> None:
    if study.preset.demo is not None:
        _call(["tda", "atlas", "demo", str(study.data), *as_arguments(study.preset.demo)], dry)
    elif not dry and not study.data.is_dir():
        raise TdaError(f"The atlas {study.data} of {study.preset.path} does not exist. Say where it is with --data.")


def _train(run: Run, study: Study, missing: bool, dry: bool) -> None:
    if not missing:
        where = study.folder(run) if study.finished(run) else f"its row, {study.results / run.name}.json"
        print(f"# Already finished: {where}")
        print("# $", shlex.join(train_command(run, study)))
    else:
        if not dry:
            study.prepare(run)
        _call(train_command(run, study), dry)
    if not dry:
        study.keep(run)


def _show(run: Run, study: Study, dry: bool) -> None:
    config, shown = ["--load-config", str(study.folder(run) / "config.yml")], study.out / run.name
    _call(["ns-eval", *config, "--output-path", f"{shown}-metrics.json"], dry)
    _call(["tda", "sheet", *config, "--output", f"{shown}-sheet.png"], dry)
    _call(["tda", "render", *config, "--scene", "all", "--output", f"{shown}-turntable.mp4", "--frames", "48"], dry)


def _call(words: list[str], dry: bool) -> None:
    print("$", shlex.join(words), flush=True)
    if dry:
        return
    program = Path(sys.executable).with_name(words[0])
    quiet = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), as_environment()]))
    line = [str(program) if program.exists() else words[0], *words[1:]]
    with subprocess.Popen(line, env=os.environ | {"PYTHONWARNINGS": quiet}) as child:
        while child.returncode is None:
            try:
                child.wait()
            except KeyboardInterrupt:  # the command got the interrupt too, and saves before it ends
                continue
    if child.returncode:
        raise TdaError(
            f"`{words[0]}` ended with exit code {child.returncode}; see above. Run the same preset again to go on."
        )


def _report(study: Study, seconds: float) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console, rows = Console(), {run.name: study.row(run)["metrics"] for run in study.preset.runs}
    shown = [key for key, metric in METRICS.items() if metric.headline]
    tables = [("Means over held-out views", rows)]
    for run in study.preset.runs:
        if run.show:
            tables.append((f"{run.name}, by scene", read_finished(study.folder(run))["metrics"]["scenes"]))
    for title, scored in tables:
        heads = ("", *(METRICS[key].title for key in shown), "autoencoder alone")
        table = Table(*heads, title=title, title_justify="left")
        for name, scores in scored.items():
            numbers = (scores.get(key) for key in (*shown, "ceiling_psnr"))
            table.add_row(escape(name), *("-" if value is None else f"{value:.3f}" for value in numbers))
        console.print(table)
    print(f"Took {seconds / 60:.1f} minutes.")
    for run in study.preset.runs:
        if run.show:
            store = read_finished(study.folder(run)).get("store")
            look = ["tda", "view", store] if store else viewer_command(study.folder(run) / "config.yml")
            print(f"Pictures: {study.out / run.name}-sheet.png, {study.out / run.name}-turntable.mp4")
            print(f"Next, look around in it:\n  {shlex.join(look)}")
    problems = [problem for run in study.preset.runs for problem in unmet(run, rows[run.name])]
    if problems:
        raise TdaError("\n  ".join(["The preset ran, but not as expected:", *problems]))


def unmet(run: Run, metrics: dict[str, Any]) -> Iterator[str]:
    """List the scores of a run that are outside what its preset expects, and by how much."""
    for key, (low, high) in run.expects.items():
        value = metrics.get(key)
        if value is None:
            yield f"{run.name}: {key} was not measured, expected {low} to {high}"
        elif not low <= value <= high:
            off = f"{low - value:.3f} too low" if value < low else f"{value - high:.3f} too high"
            yield f"{run.name}: {key} is {value:.3f}, expected {low} to {high}: {off}"
