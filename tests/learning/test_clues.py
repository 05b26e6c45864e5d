"""What the starter sees of scenes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tda_nerfstudio.atlas.atlas import read_atlas
from tda_nerfstudio.atlas.bounds import fit_box
from tda_nerfstudio.learning.clues import LOOKS, Clues
from tda_nerfstudio.learning.silhouettes import Silhouettes
from tda_nerfstudio.learning.views import SceneViews


@pytest.fixture
def clues(tiny_atlas: Path) -> Clues:
    views = SceneViews(read_atlas(tiny_atlas))
    return Clues(Silhouettes(views, 2, 2), fit_box(views.atlas.scenes), 16, 40)


def test_a_surface_is_as_fine_as_planes_allow_and_has_colours(clues: Clues) -> None:
    every = range(clues.silhouettes.views.train.counts[0])
    found = clues.surface(0, every)
    assert found.hull.shape == (32,) * 3 and found.hull.any() and not found.hull.all()
    assert torch.equal(found.hull.flatten()[found.cell], torch.ones(len(found.cell), dtype=torch.bool))
    assert found.seen[:, 3].max() > 0.3 and found.seen[:, :3].std() > 0.1
    known = clues.silhouettes.hull(0, clues.box, 16)
    again = clues.surface(0, every, known)
    assert all(torch.equal(one, other) for one, other in zip(found, again, strict=True))


def test_more_views_carve_more_and_no_more_than_some_are_looked_from(clues: Clues) -> None:
    every = list(range(clues.silhouettes.views.train.counts[1]))
    few, all_ = clues.surface(1, every[:1]), clues.surface(1, every)
    assert few.hull.sum() > all_.hull.sum()
    assert (len(every) > LOOKS) or all_.seen[:, 3].max() <= 1


def test_variants_follow_from_the_seed_and_some_are_of_few_views(clues: Clues) -> None:
    whole = clues.surface(2, range(clues.silhouettes.views.train.counts[2]))
    found = [clues.variant(2, "seed", visit) for visit in range(4)]
    assert all(int(each.hull.sum()) == int(whole.hull.sum()) for each in found[:2])
    assert max(int(each.hull.sum()) for each in found[2:]) > int(whole.hull.sum())
    assert clues.variant(2, "seed", 5) is found[1]
    other = Clues(clues.silhouettes, clues.box, 16, 40)
    assert torch.equal(other.variant(2, "seed", 3).hull, found[3].hull)


def test_without_silhouettes_nothing_is_known(clues: Clues, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clues.silhouettes, "cuts", lambda row, chosen=None: ([], 1))
    found = clues.surface(0, [0, 1])
    assert not found.hull.any() and not len(found.cell) and found.seen.shape == (0, 5)
