"""Posed images are cameras that keep their pictures."""

from __future__ import annotations

import pytest
import torch

from tda_nerfstudio.atlas.layouts.scene import read_scene
from tda_nerfstudio.atlas.posed import PosedImages


@pytest.fixture
def posed(tmp_path, scene_at) -> PosedImages:
    """Read six images of 8 x 8 pixels."""
    return read_scene(scene_at(tmp_path / "car", "srn"), eval_every=0).train


@pytest.mark.parametrize(
    ("chosen", "rows"),
    [
        (slice(2, 5), [2, 3, 4]),
        ([3, 0], [3, 0]),
        ([], []),
        (torch.tensor([5, 5, 1]), [5, 5, 1]),
        (torch.tensor([True, False, True, False, False, False]), [0, 2]),
    ],
)
def test_some_of_them_keep_their_cameras_and_pictures(posed, chosen, rows):
    some = posed[chosen]
    assert type(some) is PosedImages and len(some) == len(rows) and (some.width, some.height) == (8, 8)
    assert some.pictures == tuple(posed.pictures[row] for row in rows)
    assert some.paths == tuple(posed.paths[row] for row in rows)
    for part, whole in zip(some, posed, strict=True):
        assert torch.equal(part, whole[torch.tensor(rows, dtype=torch.long)])


def test_what_moves_or_resizes_cameras_keeps_pictures(posed):
    for changed in (posed.to("meta"), posed.resized(16, 8), posed.stretched(16, 8)):
        assert type(changed) is PosedImages and changed.pictures == posed.pictures
    assert posed.to("meta").fx.is_meta


def test_stretching_scales_each_axis_on_its_own(posed):
    wide = posed.stretched(16, 4)
    assert (wide.width, wide.height) == (16, 4) and torch.equal(wide.c2w, posed.c2w)
    for name, times in (("fx", 2), ("cx", 2), ("fy", 0.5), ("cy", 0.5)):
        assert torch.equal(getattr(wide, name), getattr(posed, name) * times)
