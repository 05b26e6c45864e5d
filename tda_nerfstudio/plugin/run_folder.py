"""A run is where its config.yml lies: moved and copied runs are opened, and gone on with, in their own folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.plugin.claim import claim
from tda_nerfstudio.plugin.config_file import CONFIG
from tda_nerfstudio.plugin.run_config import RunConfig

DATA_VARIABLE = "TDA_DATA"
"""Environment variable that says where the atlas of a run that is opened is now."""


def settle(config: RunConfig, file: Path) -> None:
    """Take a run for where its file lies; what it names and is gone is looked for at the same place seen from there.

    A file of another name is a copy that was edited: its run is there only if checkpoints are. Raises TdaError when
    the atlas is gone.
    """
    recorded, folder = config.get_base_dir(), file.parent
    if file.name != CONFIG and not (folder / config.relative_model_dir).is_dir():
        folder = recorded
    config.folder = folder if not recorded.exists() or not folder.samefile(recorded) else recorded
    if config.folder != recorded:
        names = (config.experiment_name, config.method_name, config.timestamp)
        config.output_dir = folder.parents[2] if folder.parts[-3:] == names else folder
    _look_again(config, _follow(recorded, config.folder))


def _follow(recorded: Path, folder: Path) -> Callable[[Path], Path]:
    """Make the map from recorded paths to those of today: what lies in a run goes with it, all else stays if it can."""

    def follow(path: Path) -> Path:
        inside = path.is_relative_to(recorded)
        if recorded == folder or path.drive != recorded.drive or (path.exists() and not inside):
            return path
        there = Path(os.path.normpath(folder / os.path.relpath(path, recorded)))
        return there if inside or there.exists() else path

    return follow


def _look_again(config: RunConfig, follow: Callable[[Path], Path]) -> None:
    """Follow all that a configuration names. Raises TdaError when its atlas is gone."""
    pipeline, parser = config.pipeline, config.pipeline.datamanager.dataparser
    given, before = os.environ.get(DATA_VARIABLE), parser.data
    data = Path(given).expanduser().absolute() if given else follow(before)
    if not data.is_dir():
        raise TdaError(
            f"The atlas {before} of the run {config.folder} is not there"
            + (f", and {DATA_VARIABLE}, {data}, is no folder." if given else ".")
            + f" Put it back, or say where it is now: {DATA_VARIABLE}=FOLDER before the command."
        )
    config.data = pipeline.datamanager.data = parser.data = data

    def follow_split(path: Path) -> Path:
        return data / path.relative_to(before) if path.is_relative_to(before) else follow(path)

    parser.scenes = tuple(in_selector(selector, follow_split) for selector in parser.scenes)
    parser.test_views = tuple(in_selector(selector, follow_split) for selector in parser.test_views)
    for owner, name in (
        (pipeline, "autoencoder"),
        (pipeline, "store"),
        (config, "load_dir"),
        (config, "load_checkpoint"),
    ):
        if getattr(owner, name) is not None:
            setattr(owner, name, follow(getattr(owner, name)))


def in_selector(selector: str, change: Callable[[Path], Path]) -> str:
    """Change the file that a selector of scenes or views names; others stay as they are."""
    exclude = "!" if selector.startswith("!") else ""
    name, mark, key = selector.removeprefix("!").partition("#")
    return f"{exclude}{change(Path(name))}{mark}{key}" if name.endswith(".json") else selector


def take_folder(config: RunConfig) -> None:
    """Claim the run's folder: the next one that is free where the time named it, the named one if nobody is at work."""
    by_time, stamp = config.__dict__.pop("by_time", False), config.timestamp
    for number in count(2):
        if claim(config.get_base_dir(), new=by_time):
            return
        config.timestamp = f"{stamp}-{number}"
