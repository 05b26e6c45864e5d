"""nerfstudio's layout: transforms.json with optional lists of splits."""

from __future__ import annotations

from pathlib import Path

from tda_nerfstudio.atlas.layouts.frames import Frame, relative
from tda_nerfstudio.atlas.layouts.transforms import read_transforms
from tda_nerfstudio.base.errors import TdaError

NAME = "nerfstudio (transforms.json)"
TRACES = ("transforms*.json", "images")
_FILE = "transforms.json"


def matches(folder: Path) -> bool:
    """Say whether a folder has this layout."""
    return (folder / _FILE).is_file()


def read(folder: Path) -> tuple[list[Frame], set[str] | None]:
    """Read the frames, and the names held out by its train_filenames, test_filenames and val_filenames, if any."""
    frames, content = read_transforms(folder, _FILE)
    names = {frame.name for frame in frames}
    listed: dict[str, set[str]] = {}
    for key in ("train_filenames", "test_filenames", "val_filenames"):
        if key in content:
            if not isinstance(content[key], list):
                raise TdaError(f"{_FILE}: {key} must be a list of file paths.")
            listed[key] = {relative(folder, path, _FILE) for path in content[key]}
            if unknown := sorted(listed[key] - names):
                raise TdaError(f"{_FILE}: {key} lists '{unknown[0]}', which is no frame's file_path.")
    test = listed.get("test_filenames", listed.get("val_filenames"))
    train = listed.get("train_filenames", names - (test or set()))
    if test is None:
        return frames, (names - train if "train_filenames" in listed else None)
    if both := sorted(train & test):
        raise TdaError(f"{_FILE}: '{both[0]}' is both a train and a test view. Keep it in one list.")
    return [frame for frame in frames if frame.name in train | test], test
