"""The starter in training: the phase that teaches it, and the scenes that begin where it says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tda_nerfstudio.learning.beginning import Beginning
from tda_nerfstudio.learning.learner import Learner


@pytest.fixture
def starting(configure: Callable) -> Learner:
    """A stage 1 of four scenes whose last four steps teach the starter."""
    config = configure(start=8, steps=16, kind="colours")
    return config.pipeline.setup(device="cpu", test_mode="val").learner


def test_the_last_phase_teaches_the_starter_and_moves_nothing_else(starting: Learner) -> None:
    last = starting.wave.spans[-1]
    assert last.phase.name == "start" and last.phase.starts
    starting.step(last.start - 1)
    before = {name: value.clone() for name, value in starting.scenes.state_dict().items()}
    losses = [float(starting.step(step)["latent"].detach()) for step in range(last.start, last.end)]
    assert all(loss > 0 for loss in losses)
    moved = {name for name, value in starting.scenes.state_dict().items() if not torch.equal(value, before[name])}
    assert moved and all(name.startswith(("starter.", "occupied")) for name in moved)


def test_rays_sample_the_hull_and_not_what_scenes_filled(starting: Learner) -> None:
    last = starting.wave.spans[-1]
    batch = starting.batch(last.start, last.phase)
    assert len(batch.surfaces) == len(batch.scene) and batch.hulls is not None
    for row, hull in zip(batch.scene.tolist(), batch.hulls, strict=True):
        assert torch.equal(hull, starting.hulls[row])


def test_the_mean_of_weights_that_it_adds_to_leaves_out_scenes_that_diverged(starting: Learner) -> None:
    last = starting.wave.spans[-1]
    with torch.no_grad():
        starting.scenes.weights[2] = torch.nan
    losses = starting.training.losses(last.phase, starting.batch(last.start, last.phase), last.start)
    assert all(loss.isfinite() for loss in losses.values())


def test_scenes_with_silhouettes_begin_where_the_starter_says_and_others_at_the_mean(starting: Learner) -> None:
    scenes = starting.scenes
    assert scenes.starter is not None
    for layer in scenes.starter.out:
        torch.nn.init.normal_(layer.get_parameter("weight"), generator=torch.Generator().manual_seed(1))
    mean = torch.tensor([0.5, -1.0, 2.0])
    starting.hulls.pop(2)
    starting.beginning = lambda: Beginning(mean, torch.ones(32, 32, 32, dtype=torch.bool), True)
    starting.place_scenes()
    assert not scenes.micro[2].any() and scenes.occupied[2].all()
    torch.testing.assert_close(scenes.weights[2].detach(), mean)
    for row in (0, 1, 3):
        assert scenes.micro[row].std() > 0.01 and torch.equal(scenes.occupied[row], starting.hulls[row])
    assert not torch.allclose(scenes.micro[0], scenes.micro[1])
    starting.beginning = lambda: Beginning(mean, torch.ones(32, 32, 32, dtype=torch.bool))
    starting.place_scenes()
    assert not scenes.micro.any()


def test_colours_are_swapped_alike_in_what_is_seen_and_in_what_is_to_be_shown(starting: Learner) -> None:
    last = starting.wave.spans[-1]
    plain = starting.batches.batch(last.start, last.phase)
    found = starting.batch(last.start, last.phase)
    orders = set()
    for slot, row in enumerate(found.scene.tolist()):
        visit = starting.batches.draw(last.start)[1][slot]
        seen = starting.clues.variant(row, starting.batches.seeds[row], visit).seen
        order = [
            [torch.equal(seen[:, i], found.surfaces[slot].seen[:, j]) for i in range(3)].index(True) for j in range(3)
        ]
        orders.add(tuple(order))
        assert torch.equal(found.surfaces[slot].seen[:, 3:], seen[:, 3:])
        views = found.slot == slot
        assert torch.equal(found.parts.latents[views], plain.parts.latents[views][:, order])
    assert len(orders) > 1
    again = starting.batch(last.start, last.phase)
    assert torch.equal(again.parts.latents, found.parts.latents)
