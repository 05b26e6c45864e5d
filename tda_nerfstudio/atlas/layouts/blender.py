"""Blender's layout, of the synthetic NeRF data: a file of frames for each split."""

from __future__ import annotations

from pathlib import Path

from tda_nerfstudio.atlas.layouts.frames import Frame
from tda_nerfstudio.atlas.layouts.transforms import read_transforms

NAME = "blender (transforms_train.json)"
TRACES = ("transforms*.json",)
_TRAIN, _HELD_OUT = "transforms_train.json", ("transforms_test.json", "transforms_val.json")


def matches(folder: Path) -> bool:
    """Say whether a folder has this layout."""
    return (folder / _TRAIN).is_file()


def read(folder: Path) -> tuple[list[Frame], set[str] | None]:
    """Read all frames and the names of those held out: `_test`'s, or `_val`'s where there is no `_test`."""
    train = read_transforms(folder, _TRAIN)[0]
    for held_out in _HELD_OUT:
        if (folder / held_out).is_file():
            test = read_transforms(folder, held_out)[0]
            return train + test, {frame.name for frame in test}
    return train, None
