"""The scene that export's tests take elsewhere: an ellipsoid beside the middle of a box that is no cube."""

from __future__ import annotations

import pytest
from a_scene import store_of_a_ball

from tda_nerfstudio.export.subject import Subject
from tda_nerfstudio.store.store import Store


@pytest.fixture(scope="session")
def ball_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with the scene 'ball'."""
    return store_of_a_ball(tmp_path_factory.mktemp("ball") / "store")


@pytest.fixture(scope="session")
def subject(ball_store: Store) -> Subject:
    """The scene, with its views and its surface made once."""
    return Subject.of(ball_store, "ball")
