"""A run is where its config.yml lies: a run that was moved or copied is opened, and goes on, in its own folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

from tda_nerfstudio.atlas.inventory import DATA_VARIABLE
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.plugin.claim import claim
from tda_nerfstudio.plugin.config_file import CONFIG
from tda_nerfstudio.plugin.run_config import RunConfig


def settle(config: RunConfig, file: Path) -> None:
    """Take the folder in which a run's file lies for the run's own. What it names is followed if it moved too.

    A file of another name is a copy that was edited: it belongs to a run there only if checkpoints are there too.
    Raises TdaError when the atlas is gone.
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
    """Make the map from recorded paths to those of today.

    What lies in the run moved with it. What is gone is looked for at the same place as seen from the run.
    """

    def follow(path: Path) -> Path:
        inside = path.is_relative_to(recorded)
        if recorded == folder or path.drive != recorded.drive or (path.exists() and not inside):
            return path
        there = Path(os.path.normpath(folder / os.path.relpath(path, recorded)))
        return there if inside or there.exists() else path

    return follow


def _look_again(config: RunConfig, follow: Callable[[Path], Path]) -> None:
    """Follow all paths that a configuration names. Raises TdaError when its atlas is gone."""
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
    for owner, names in ((pipeline, ("autoencoder", "store")), (config, ("load_dir", "load_checkpoint"))):
        for name in names:
            if getattr(owner, name) is not None:
                setattr(owner, name, follow(getattr(owner, name)))


def in_selector(selector: str, change: Callable[[Path], Path]) -> str:
    """Change the file that a selector of scenes or views names. A selector without a file stays as it is."""
    exclude = "!" if selector.startswith("!") else ""
    name, mark, key = selector.removeprefix("!").partition("#")
    return f"{exclude}{change(Path(name))}{mark}{key}" if name.endswith(".json") else selector


def take_folder(config: RunConfig) -> None:
    """Claim the run's folder. One that is named after the time must be new, so that its name may get a number.

    Raises TdaError where another process works in it.
    """
    by_time, stamp = config.__dict__.pop("by_time", False), config.timestamp
    for number in count(2):
        if claim(config.get_base_dir(), new=by_time):
            return
        config.timestamp = f"{stamp}-{number}"
