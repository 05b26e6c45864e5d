"""The phases of a run, of any version: their steps, their visits and the seconds they took; those of its stage 1."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.learning import schedule as schedules
from tda_nerfstudio.plugin.manifest import read_finished
from tda_nerfstudio.studies.run_files import STEP_SECONDS, TYPE, look_up, read_config, read_scalars, short


def phases_of(
    manifest: dict[str, Any], config: dict[str, Any], scalars: dict[str, dict[int, float]], problems: list[str]
) -> list[dict[str, Any]]:
    """List a finished run's phases as its manifest does, worked out from config and event files where it is older.

    The seconds of a phase that was timed in part are None, and that is added to the problems.
    """
    placed = manifest.get("phases") or _planned(config, manifest.get("steps"), manifest.get("scene_names"), problems)
    steps = scalars.get(STEP_SECONDS, {})
    timed = []
    for phase in placed:
        length = phase["end"] - phase["start"]
        if "seconds" not in phase:
            seconds = [value for step, value in steps.items() if phase["start"] <= step < phase["end"]]
            phase = phase | {"timed_steps": len(seconds), "seconds": sum(seconds)}
        if phase["timed_steps"] != length:
            counts = f"{phase['timed_steps']} of {length}"
            problems.append(f"Phase '{phase['name']}': {counts} steps were timed, so there are no minutes.")
            phase = phase | {"seconds": None}
        numbers = {key: phase[key] for key in ("seconds", "visits")}
        timed.append(phase | {key: None if value is None else short(value) for key, value in numbers.items()})
    return timed


def total_seconds(timed: list[dict[str, Any]]) -> float | None:
    """Add up the seconds of all phases; None when one is not known."""
    seconds = [phase["seconds"] for phase in timed]
    return short(sum(seconds)) if seconds and None not in seconds else None


def _planned(
    config: dict[str, Any], steps: int | None, names: list[str] | None, problems: list[str]
) -> list[dict[str, Any]]:
    """Place the phases of a run that did not record them, by its schedule and its total of steps."""
    given, manager, scenes = look_up(config, "pipeline.schedule"), look_up(config, "pipeline.datamanager"), names or []
    if steps is None or not given or not scenes:
        return []
    try:
        schedule = getattr(schedules, given[TYPE])
        known = {field.name for field in fields(schedule)}
        placed = schedule(**{key: value for key, value in given.items() if key in known}).phases()
        images = min(manager["scenes_per_step"], len(scenes)) * manager["views_per_scene"]
        spans = schedules.timeline(placed, len(scenes), images, steps)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        problems.append(f"The schedule of an older version is not understood ({error}): phases are not known.")
        return []
    whole = manager.get("rays_per_view") is None
    return [
        {
            "name": span.phase.name,
            "start": span.start,
            "end": span.end,
            "visits": (span.end - span.start) * images / len(scenes) if whole else None,
        }
        for span in spans
    ]


def stage_one_of(config: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """Describe the run that stage 2 started from, as far as it is still there."""
    given = look_up(config, "pipeline.autoencoder")
    if not given:
        return {}
    found = {"name": Path(given).name, "fingerprint": look_up(config, "pipeline.autoencoder_hash")}
    run = Path(given)
    try:
        manifest, own = read_finished(run), read_config(run)
    except TdaError:
        problems.append(f"Stage 1, '{run.name}', is not where it was: its space and its minutes are not known.")
        return found
    if look_up(manifest, "model.fingerprint") != found["fingerprint"]:
        problems.append(f"Stage 1, '{run.name}', has changed since: its space and its minutes are not known.")
        return found
    try:
        scalars = {} if "phases" in manifest else read_scalars(run)
    except TdaError:
        scalars = {}
    total = total_seconds(phases_of(manifest, own, scalars, []))
    if total is None:
        problems.append(f"Stage 1, '{run.name}', was not timed as a whole.")
    space = look_up(own, "pipeline.schedule.space") or "3d-aware"
    return found | {"space": space, "scenes": len(manifest.get("scene_names") or []), "seconds": total}
