"""The scene that export's tests take elsewhere: an ellipsoid beside the middle of a box that is no cube."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from a_scene import BOX, CENTRE, RADIUS, store_of_a_ball

from tda_nerfstudio.export.subject import Subject
from tda_nerfstudio.store.store import Store

LOW, HIGH = map(np.array, BOX)
MIDDLE = LOW + (np.array(CENTRE) + 1) / 2 * (HIGH - LOW)
AXES = RADIUS / 2 * (HIGH - LOW)
"""Half axes of the ellipsoid in the world."""


@pytest.fixture(scope="session")
def ball_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with the scene 'ball'."""
    return store_of_a_ball(tmp_path_factory.mktemp("ball") / "store")


@pytest.fixture(scope="session")
def ball_store_path(ball_store: Store) -> Path:
    """Where it is."""
    return ball_store.folder


@pytest.fixture(scope="session")
def subject(ball_store: Store) -> Subject:
    """The scene, with its views and its surface made once."""
    return Subject.of(ball_store, "ball")


def off_surface(points: np.ndarray) -> np.ndarray:
    """Distances of points to the ellipsoid along rays from its middle, in world units; positive outside."""
    from_middle = points - MIDDLE
    return np.linalg.norm(from_middle, axis=1) * (1 - 1 / np.linalg.norm(from_middle / AXES, axis=1))
