"""Both paths see the same images and are measured after the same visits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tda_nerfstudio.studies.bench import quality
from tda_nerfstudio.studies.bench.ellipsoids import TEST_ORBITS
from tda_nerfstudio.studies.bench.training import Training
from tda_nerfstudio.studies.bench.workshop import Workshop


def test_a_fit_of_two_scenes_gets_better_on_both_paths(shop: Workshop, monkeypatch: pytest.MonkeyPatch):
    seen: list = []
    step = Training.step
    shop.sizes = replace(shop.sizes, fit_visits=320)
    monkeypatch.setattr(Training, "step", lambda self, batch, *rest: (seen.append(batch), step(self, batch, *rest)))
    marks = quality.fit(shop, lambda *_: None)
    assert [(mark.path, mark.visits) for mark in marks] == [
        (p, v) for v in (80, 160, 240, 320) for p in ("ours", "plain")
    ]
    assert len(seen) == 2 * 320 * 2 / quality.IMAGES
    assert all(a is b for a, b in zip(seen[::2], seen[1::2], strict=True))
    for path in ("ours", "plain"):
        first, *_, last = (mark for mark in marks if mark.path == path)
        assert last.loss < first.loss and last.seconds > first.seconds


def test_scores_by_hand(shop: Workshop):
    views = quality.make_views(shop, TEST_ORBITS, 5)
    assert views.latents.shape == (2, 10, 4, 4, 4)

    def render(batch):  # latents in (-1, 1) that are off by 0.2, which is 0.1 in [0, 1]
        return batch.latents.clamp(-1, 0.7) + 0.2

    inside = quality.LatentViews(views.view, views.latents.clamp(-0.9, 0.7))
    found = quality._score(inside, render, 16)
    assert found == pytest.approx((20.0, 0.01), rel=1e-4)
    assert torch.equal(views.latents, quality.make_views(shop, TEST_ORBITS, 5).latents)
