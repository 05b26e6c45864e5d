"""Options with which the tiny atlas is learnt in seconds, and what must come of it."""

from __future__ import annotations

from pathlib import Path

import torch

from tda_nerfstudio.engine.planning import Wishes
from tda_nerfstudio.store.store import Store

SHORT = Wishes(scenes=("*",), scenes_per_wave=2, visits=2.0, scenes_per_step=1)
"""Six scenes in three waves, independent of each other to the bit."""
WORDS = ["--scenes", "*", "--scenes-per-wave", "2", "--visits", "2", "--scenes-per-step", "1"]
"""The same on the command line."""


def check_equal(folder: Path, learnt: Store, left_out: str = "") -> None:
    """Check that a store has every scene once, with good hashes and the bits of the undisturbed run."""
    found = Store(folder)
    assert found.names == [name for name in learnt.names if name != left_out] and not found.verify()
    for name in found:
        one, other = found[name].learnt, learnt[name].learnt
        assert torch.equal(one.micro, other.micro) and torch.equal(one.weights, other.weights), name
    assert sorted(name for file in found.files for name in file.names) == found.names
