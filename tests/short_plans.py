"""Options with which the tiny atlas is learnt in seconds."""

from __future__ import annotations

from tda_nerfstudio.engine.planning import Wishes

SHORT = Wishes(scenes=("*",), scenes_per_wave=2, visits=2.0, scenes_per_step=1)
"""Six scenes in three waves, independent of each other to the bit."""
WORDS = ["--scenes", "*", "--scenes-per-wave", "2", "--visits", "2", "--scenes-per-step", "1"]
"""The same on the command line."""
