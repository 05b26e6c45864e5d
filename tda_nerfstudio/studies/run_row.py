"""Make the row of a run from the files in its folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.metrics import score_names
from tda_nerfstudio.plugin.finished import read_finished
from tda_nerfstudio.studies.rows import RecordedPhase, RecordedStageOne, RunRow, read_row_file
from tda_nerfstudio.studies.run_files import look_up, part_bytes, read_config, read_losses, short, thin, tidy_command


def read_row(path: Path) -> RunRow:
    """Read a row file, or make the row of a run folder. What is wrong is listed under the row's `problems`."""
    return read_row_file(path) if path.is_file() else row_of(path)


def row_of(run: Path) -> RunRow:
    """Make the row of a run folder. What is missing or doubtful is listed under `problems`, with the reason."""
    run = run.resolve()
    try:
        return _row_of(run)
    except ValidationError as error:
        reason = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        reason = repr(error)
    problem = f"Its finished.json or config.yml holds something else than it should ({reason})."
    return RunRow(name=run.name, problems=[problem])


def _row_of(run: Path) -> RunRow:
    problems: list[str] = []

    def attempt(read: Callable[..., Any], *given: Any) -> Any:
        try:
            return read(*given)
        except TdaError as error:
            problems.append(str(error).replace(f"{run.parent}/", ""))
            return {}

    manifest = attempt(read_finished, run)
    if not run.is_dir():
        return RunRow(name=run.name, problems=problems)
    config, losses = attempt(read_config, run), attempt(read_losses, run)
    metrics, model = manifest.get("metrics") or {}, manifest.get("model") or {}
    names = manifest.get("scene_names") or []
    phases = _phases(manifest, problems)
    seconds = _total(phases)
    data = config.get("data")
    if data and not Path(data).is_dir():
        problems.append(f"Its data, '{Path(data).name}', is not where it was: no pictures.")
    if manifest and "psnr" not in metrics:
        problems.append("It has no held-out views: no metrics.")
    stage_one = _stage_one(config, problems)
    schedule = look_up(config, "pipeline.schedule") or {}
    ms_per_view = {part: metrics.get(f"{part}_seconds_per_view") for part in ("march", "decode")}
    kept = (*score_names(), "latent_std", "latent_high_frequencies")
    return RunRow(
        name=run.name,
        output=run.parents[2].name if len(run.parents) > 2 else "",
        method=manifest.get("method") or config.get("method_name") or "",
        space=stage_one.get("space") or schedule.get("space") or "",
        complete="psnr" in metrics,
        commands=[tidy_command(command, config) for command in manifest.get("commands", [])],
        seed=manifest.get("seed", look_up(config, "machine.seed")),
        versions=manifest.get("versions") or {},
        machine=manifest.get("machine") or {},
        data={
            "name": Path(manifest.get("data") or data or "").name,
            "split": [Path(s).name for s in look_up(config, "pipeline.datamanager.dataparser.scenes") or []],
            "image_size": manifest.get("image_size"),
        },
        model={
            "f": look_up(model, "autoencoder.f"),
            "C": look_up(model, "autoencoder.channels"),
            "fingerprint": model.get("fingerprint"),
            "autoencoder": model.get("autoencoder"),
            "triplane": model.get("triplane"),
            "sampling": look_up(config, "pipeline.model.sampling"),
        },
        schedule=schedule,
        stage_one=stage_one,
        phases=phases,
        seconds=seconds,
        minutes_per_scene=short(seconds / 60 / len(names)) if seconds is not None and names else None,
        ms_per_view={part: short(1e3 * value) for part, value in ms_per_view.items() if value is not None},
        bytes=attempt(part_bytes, run / manifest["checkpoint"]) if manifest.get("checkpoint") else {},
        metrics={
            key: [short(v) for v in value] if isinstance(value, list) else short(value)
            for key, value in metrics.items()
            if key in kept
        },
        scenes=_columns(metrics.get("scenes") or {}),
        curves={name: thin(curve) for name, curve in losses.items()},
        problems=problems,
    )


def _phases(manifest: dict[str, Any], problems: list[str]) -> list[RecordedPhase]:
    """List a run's phases. If not all steps of a phase were timed, its seconds are None, and a problem is added."""
    phases = []
    for phase in manifest.get("phases") or []:
        length = phase["end"] - phase["start"]
        whole = phase["timed_steps"] == length
        if not whole:
            counts = f"{phase['timed_steps']} of {length}"
            problems.append(f"Phase '{phase['name']}': {counts} steps were timed, so there are no minutes.")
        seconds = short(phase["seconds"]) if whole else None
        phases.append(phase | {"visits": short(phase["visits"]), "seconds": seconds})
    return phases


def _total(phases: list[RecordedPhase]) -> float | None:
    """Add up the seconds of all phases. Returns None if those of one phase are not known."""
    seconds = [phase.get("seconds") for phase in phases]
    known = [value for value in seconds if value is not None]
    return short(sum(known)) if seconds and len(known) == len(seconds) else None


def _stage_one(config: dict[str, Any], problems: list[str]) -> RecordedStageOne:
    """Describe the run that stage 2 started from, as far as it is still there."""
    given = look_up(config, "pipeline.autoencoder")
    if not given:
        return {}
    run, fingerprint = Path(given), look_up(config, "pipeline.autoencoder_hash")
    found = RecordedStageOne(name=run.name, fingerprint=fingerprint)
    try:
        manifest, own = read_finished(run), read_config(run)
    except TdaError:
        problems.append(f"Stage 1, '{run.name}', is not where it was: its space and its minutes are not known.")
        return found
    if look_up(manifest, "model.fingerprint") != fingerprint:
        problems.append(f"Stage 1, '{run.name}', has changed since: its space and its minutes are not known.")
        return found
    seconds = _total(_phases(manifest, []))
    if seconds is None:
        problems.append(f"Stage 1, '{run.name}', was not timed as a whole.")
    space = look_up(own, "pipeline.schedule.space")
    return found | RecordedStageOne(space=space, scenes=len(manifest.get("scene_names") or []), seconds=seconds)


def _columns(scenes: dict[str, Any]) -> dict[str, list]:
    """Turn scenes into columns. `views` is the number of the views that were scored and a hash of their names."""
    if not scenes:
        return {}
    views = [list(scene.get("views") or {}) for scene in scenes.values()]
    hashes = [hashlib.sha256("\n".join(names).encode()).hexdigest()[:8] for names in views]
    counts = [f"{len(names)}:{code}" for names, code in zip(views, hashes, strict=True)]
    known = [key for key in score_names() if all(key in scene for scene in scenes.values())]
    scores = {key: [short(scene[key]) for scene in scenes.values()] for key in known}
    return {"name": list(scenes), "views": counts} | scores
