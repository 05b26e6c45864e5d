"""A film: frames that can be painted one by one, in any order, and a key that tells it from other films."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from tda_nerfstudio.core.view import View
from tda_nerfstudio.looking.shelf import Shelf
from tda_nerfstudio.store.learnt_scene import LearntScene
from tda_nerfstudio.store.shared_parts import shared_hash

Frame = UInt8[np.ndarray, "height width channel"]


@dataclass(frozen=True)
class Film:
    """What is to be seen. `about` is all that its pixels depend on, as JSON can hold it."""

    count: int
    """Frames."""
    paint: Callable[[int], Frame]
    """Paints one frame: RGB, or RGBA with colours that are not multiplied by alpha."""
    about: dict[str, Any]

    @property
    def key(self) -> str:
        """Hash what the film is about."""
        return hashlib.sha256(json.dumps(self.about, sort_keys=True).encode()).hexdigest()[:32]


def identity(shelf: Shelf, names: Sequence[str]) -> list[str]:
    """Tell scenes of a shelf from all others by their tensors: a run's are written anew each time it is opened."""
    return [shared_hash(shelf.source.parts), *(f"{name} {_digest(shelf.learnt(name))}" for name in names)]


def _digest(learnt: LearntScene) -> str:
    parts = [part for part in (learnt.micro, learnt.weights, learnt.occupied) if part is not None]
    return hashlib.sha256(b"".join(part.cpu().numpy().tobytes() for part in parts)).hexdigest()[:16]


def numbers(view: View) -> list[list[float]]:
    """Give a view's cameras as plain numbers."""
    return [part.flatten().tolist() for part in view] + [[float(view.width or 0), float(view.height or 0)]]
