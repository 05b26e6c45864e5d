"""One small JSON object for each run: what `tda run` keeps, and what reports are made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tda_nerfstudio.base.atomic import write_text
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.metrics import score_names
from tda_nerfstudio.plugin.manifest import read_finished
from tda_nerfstudio.studies.run_files import (
    LOSSES,
    TYPE,
    look_up,
    part_bytes,
    read_config,
    read_scalars,
    short,
    thin,
    tidy_command,
)
from tda_nerfstudio.studies.run_time import phases_of, stage_one_of, total_seconds

FORMAT = 1
EMPTY: dict[str, Any] = {
    "format": FORMAT,
    "name": "",
    "output": "",
    "method": "",
    "space": "",
    "complete": False,
    "problems": [],
    "commands": [],
    "seed": None,
    "versions": {},
    "machine": {},
    "data": {},
    "model": {},
    "schedule": {},
    "stage_one": {},
    "phases": [],
    "seconds": None,
    "minutes_per_scene": None,
    "ms_per_view": {},
    "bytes": {},
    "metrics": {},
    "scenes": {},
    "curves": {},
}
"""A row of which nothing is known; seconds are those of training steps, and `scenes` is a table by columns."""


PARTS = ("m_mic", "m_w", "m_B", "m_MLP", "m_AE", "m_decoder")
CHECKS: dict[str, Callable[[Any], bool]] = {
    "phases": lambda phases: all({"name", "start", "end"} <= phase.keys() for phase in phases),
    "bytes": lambda parts: not parts or all(parts[name] >= 0 for name in PARTS),
    "ms_per_view": lambda parts: all(value >= 0 for value in parts.values()),
    "metrics": lambda metrics: all(isinstance(value, list | float | int) for value in metrics.values()),
    "scenes": lambda columns: len({len(column) for column in columns.values()}) < 2,
    "curves": lambda curves: all(len(steps) == len(values) for steps, values in curves.values()),
}
"""What readers of a row rely on, by its key."""


def row_of(run: Path) -> dict[str, Any]:
    """Make a run folder's row. What is missing or doubtful is listed under `problems`, with the reason."""
    run = run.resolve()
    try:
        return _row_of(run)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        problem = f"Its finished.json or config.yml holds something else than it should ({error!r})."
        return EMPTY | {"name": run.name, "problems": [problem]}


def _row_of(run: Path) -> dict[str, Any]:
    problems: list[str] = []

    def attempt(read: Callable[[], Any]) -> Any:
        try:
            return read()
        except TdaError as error:
            problems.append(str(error).replace(f"{run.parent}/", ""))
            return {}

    manifest = attempt(lambda: read_finished(run))
    if not run.is_dir():
        return EMPTY | {"name": run.name, "problems": problems}
    config = attempt(lambda: read_config(run))
    scalars = attempt(lambda: read_scalars(run))
    metrics, model = manifest.get("metrics") or {}, manifest.get("model") or {}
    names = manifest.get("scene_names") or []
    timed = phases_of(manifest, config, scalars, problems)
    seconds = total_seconds(timed)
    _check_place(run, config, problems)
    if manifest and "psnr" not in metrics:
        problems.append("It has no held-out views: no metrics.")
    stage_one = stage_one_of(config, problems)
    schedule = {key: value for key, value in (look_up(config, "pipeline.schedule") or {}).items() if key != TYPE}
    row = {
        "name": run.name,
        "output": run.parents[2].name if len(run.parents) > 2 else "",
        "method": manifest.get("method") or config.get("method_name") or "",
        "complete": "psnr" in metrics,
        "commands": [tidy_command(command, config) for command in manifest.get("commands", [])],
        "seed": manifest.get("seed", look_up(config, "machine.seed")),
        "versions": manifest.get("versions") or {},
        "machine": manifest.get("machine") or {},
        "data": {
            "name": Path(manifest.get("data") or config.get("data") or "").name,
            "split": [Path(s).name for s in look_up(config, "pipeline.datamanager.dataparser.scenes") or []],
            "image_size": manifest.get("image_size"),
        },
        "model": {
            "f": look_up(model, "autoencoder.f"),
            "C": look_up(model, "autoencoder.channels"),
            "fingerprint": model.get("fingerprint"),
            "autoencoder": model.get("autoencoder"),
            "triplane": model.get("triplane"),
            "sampling": _without_type(look_up(config, "pipeline.model.sampling")),
        },
        "schedule": schedule,
        "stage_one": stage_one,
        "space": stage_one.get("space") or schedule.get("space") or "",
        "phases": timed,
        "seconds": seconds,
        "minutes_per_scene": short(seconds / 60 / len(names)) if seconds is not None and names else None,
        "ms_per_view": {
            part: short(1e3 * metrics[f"{part}_seconds_per_view"])
            for part in ("march", "decode")
            if f"{part}_seconds_per_view" in metrics
        },
        "bytes": attempt(lambda: part_bytes(run / manifest["checkpoint"])) if manifest.get("checkpoint") else {},
        "metrics": {
            key: [short(v) for v in value] if isinstance(value, list) else short(value)
            for key, value in metrics.items()
            if key in (*score_names(), "latent_std", "latent_high_frequencies")
        },
        "scenes": _columns(metrics.get("scenes") or {}),
        "curves": {name.removeprefix(LOSSES): [*thin(c)] for name, c in scalars.items() if name.startswith(LOSSES)},
    }
    older = [name for name in ("commands", "image_size", "machine", "phases") if manifest and name not in manifest]
    if older:
        problems.append(f"Finished by an older version, which did not record: {', '.join(older)}.")
    if metrics and "sharpness" not in metrics:
        problems.append("Scored by an older version, without sharpness.")
    return EMPTY | row | {"problems": problems}


def _without_type(content: Any) -> Any:
    return {key: value for key, value in content.items() if key != TYPE} if isinstance(content, dict) else content


def _check_place(run: Path, config: dict[str, Any], problems: list[str]) -> None:
    """Note when a run's data is gone: it cannot be opened then."""
    data = config.get("data")
    if data and not Path(data).is_dir():
        problems.append(f"Its data, '{Path(data).name}', is not where it was: no pictures.")


def _columns(scenes: dict[str, Any]) -> dict[str, list]:
    """Turn scenes into columns; `views` is a count and a hash of the names of the views that were scored."""
    if not scenes:
        return {}
    views = [list(scene.get("views") or {}) for scene in scenes.values()]
    hashes = [hashlib.sha256("\n".join(names).encode()).hexdigest()[:8] for names in views]
    columns: dict[str, list] = {
        "name": list(scenes),
        "views": [f"{len(names)}:{code}" for names, code in zip(views, hashes, strict=True)],
    }
    for key in score_names():
        if all(key in scene for scene in scenes.values()):
            columns[key] = [short(scene[key]) for scene in scenes.values()]
    return columns


def write_row(run: Path, path: Path) -> dict[str, Any]:
    """Write the row of a run, a key a line, whole or not at all; return it."""
    row = row_of(run)
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in row.items())
    write_text(path, f"{{\n{lines}\n}}\n")
    return row


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """List run folders and row files: those given, and those below folders that are neither.

    Raises TdaError for a path that does not exist.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise TdaError(f"{path} does not exist. Give run folders, row files, or folders of either.")
        if path.is_dir() and not any((path / name).exists() for name in ("config.yml", "finished.json")):
            runs = sorted(config.parent for config in path.rglob("config.yml"))
            found += runs or sorted(path.rglob("*.json")) or [path]
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def read_row(path: Path) -> dict[str, Any]:
    """Read a row file, or make the row of a run folder; whatever is wrong with it is one of its problems."""
    if not path.is_file():
        return row_of(path)
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        return EMPTY | {"name": path.stem, "problems": [f"{path.name} cannot be read ({error}). Make it again."]}
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        return EMPTY | {"name": path.stem, "problems": [f"{path.name} is no row of a run."]}
    if content["format"] > FORMAT:
        problem = f"{path.name} is of a newer version (format {content['format']}, here {FORMAT}). Update the package."
        return EMPTY | {"name": path.stem, "problems": [problem]}
    row = EMPTY | {"name": path.stem} | content
    wrong = [key for key in EMPTY if not _fits(key, row[key])]
    damage = [f"{path.name} is damaged: {', '.join(wrong)} cannot be used."] if wrong else []
    row |= {key: EMPTY[key] for key in wrong}
    return row | {"problems": [*row["problems"], *damage], "complete": "psnr" in row["metrics"]}


def _fits(key: str, value: Any) -> bool:
    try:
        return (EMPTY[key] is None or isinstance(value, type(EMPTY[key]))) and (key not in CHECKS or CHECKS[key](value))
    except (AttributeError, KeyError, TypeError, ValueError):
        return False


def read_rows(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Read all rows that paths lead to: run folders, row files, folders of either."""
    return [read_row(path) for path in find_runs(paths)]
