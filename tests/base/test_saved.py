"""Configurations of older versions get what they lack."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field

import yaml

from tda_nerfstudio.base.saved import Saved


@dataclass
class Example(Saved):
    kept: int = 1
    plain: float = 2.0
    made: list[int] = field(default_factory=lambda: [3])


def test_what_an_older_file_lacks_gets_its_default() -> None:
    text = f"!!python/object:{Example.__module__}.Example {{kept: 7}}"
    read = yaml.load(text, Loader=yaml.Loader)
    assert read == Example(kept=7) and vars(read) == {"kept": 7, "plain": 2.0, "made": [3]}
    other = yaml.load(text, Loader=yaml.Loader)
    assert other.made is not read.made


def test_whole_files_and_copies_stay_as_they_are() -> None:
    example = Example(4, 5.0, [6, 7])
    assert yaml.load(yaml.dump(example), Loader=yaml.Loader) == example == deepcopy(example)
