"""The scenes of a store or of a run, always as a store, so that whatever shows scenes knows nothing else.

nerfstudio is not needed, and neither are the images that a run was trained on.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tda_nerfstudio.atlas.inventory import data_here
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.places import place
from tda_nerfstudio.core.metrics import stored_scores
from tda_nerfstudio.plugin.checkpoint import model_tensors
from tda_nerfstudio.plugin.config_file import is_config
from tda_nerfstudio.plugin.finished import STORE, read_finished
from tda_nerfstudio.plugin.stage_one import parts_of_run
from tda_nerfstudio.plugin.viewer.address import viewer_command
from tda_nerfstudio.store.learnt_scene import LearntScene, Record
from tda_nerfstudio.store.manifest import DefaultCamera
from tda_nerfstudio.store.shared_parts import is_store, write_shared_parts
from tda_nerfstudio.store.store import Store


def store_of(source: Path) -> Path | None:
    """Find the store that a path stands for: itself, or that of a run, given by its folder or config.yml."""
    if is_store(source):
        return source
    if source.is_file() and not is_config(source):
        return None
    run = source.parent if source.is_file() else source
    folders = [run / STORE]
    with suppress(TdaError):  # a run that is not finished has a store of its own, if any
        folders += [Path(folder) for folder in [read_finished(run).get("store")] if folder]
    return next((folder for folder in folders if is_store(folder)), None)


@contextmanager
def shown_store(source: Path | str) -> Iterator[tuple[Store, Path | None]]:
    """Open a store, a run's store, or the scenes of a finished run that has none, as a store that is gone afterwards.

    Gives the store, and the folder of a run's images where it is at hand. Raises TdaError for what is neither a store
    nor a run, and for a run that has neither a store nor an end.
    """
    path = place(source)
    folder = store_of(path)
    if folder is not None:
        yield Store(folder), None if folder == path else _data_of(path)
        return
    facts = _facts_of(path)
    with TemporaryDirectory(prefix="tda_shown_") as made:
        yield _put_into(Path(made) / Path(facts["run"]).name, facts), _data_of(path)


def _facts_of(source: Path) -> dict[str, Any]:
    """Read what a finished run tells of itself. Raises TdaError for anything else."""
    if not source.exists():
        raise TdaError(f"{source} does not exist. Give the folder of a store or of a run.")
    config = source if source.is_file() else source / "config.yml"
    if not is_config(config):
        what = "neither a store nor a run's config.yml" if source.is_file() else "neither a store nor a run"
        raise TdaError(f"{source} is {what}. Give a folder with a manifest.json or a config.yml.")
    try:
        return read_finished(config)
    except TdaError as error:
        line = shlex.join(viewer_command(config))
        raise TdaError(
            f"The run {config.parent} has no store and is not finished. Look at it with\n  {line}"
        ) from error


def _data_of(source: Path) -> Path | None:
    """Find the images of a run, if they are at hand."""
    with suppress(TdaError, KeyError, OSError):
        data = data_here(Path(read_finished(source)["data"]))
        return data if data.is_dir() else None
    return None


def _put_into(folder: Path, facts: dict[str, Any]) -> Store:
    """Write the scenes of a run's checkpoint into a new store, as exactly as they are."""
    if "camera" not in facts:
        raise TdaError(
            f"The run {facts['run']} is of an older version, which did not note its camera. Look at it with\n "
            f" {shlex.join(viewer_command(Path(facts['run']) / 'config.yml'))}"
        )
    parts = parts_of_run(facts, f"The run {facts['run']}")
    state = model_tensors(Path(facts["run"]) / facts["checkpoint"])
    write_shared_parts(folder, parts, DefaultCamera(**facts["camera"]), {"run": Path(facts["run"]).name})
    store, r, scored = Store(folder), parts.config.triplane.resolution, (facts.get("metrics") or {}).get("scenes", {})
    rows = (state[f"field.scenes.{name}"].float() for name in ("micro", "weights"))
    scenes = []
    for name, micro, weights, occupied in zip(
        facts["scene_names"], *rows, state["field.scenes.occupied"], strict=False
    ):
        if not (micro.isfinite().all() and weights.isfinite().all()):
            store.put_aside(name, "It diverged: its numbers are not finite.", {})
            continue
        scores = {key: float(scored[name][key]) for key in stored_scores() if key in scored.get(name, {})}
        provenance = {"run": Path(facts["run"]).name, "data": Path(facts["data"]).name, "seed": facts.get("seed")}
        scenes.append(LearntScene(Record(name, scores, provenance), micro.view(3, r, r, -1), weights, occupied.bool()))
    if scenes:
        store.add(scenes, "fp32")
    return store
