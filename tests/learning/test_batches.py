"""Draws of scenes, views and rays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tda_nerfstudio.atlas.atlas import read_atlas
from tda_nerfstudio.core.objective import Batch
from tda_nerfstudio.core.phase import Phase
from tda_nerfstudio.learning.batches import Batches, StepSize
from tda_nerfstudio.learning.views import SceneViews

LATENT = Phase("latent", 1, {"latent": 1.0}, {})


@pytest.fixture
def batches_of(tiny_atlas: Path) -> Callable[..., Batches]:
    """Give tests `batches_of(scenes=("0:4",), seed=0, **size)`: two scenes, three of their eight views a step."""

    def make(scenes: tuple[str, ...] = ("0:4",), seed: int = 0, **size) -> Batches:
        views = SceneViews(read_atlas(tiny_atlas, scenes=scenes))
        return Batches(views, None, StepSize(**({"scenes": 2, "views": 3} | size)), seed)  # type: ignore[arg-type]

    return make


def drawn(batches: Batches, step: int) -> tuple[Batch, Tensor]:
    """Draw a step, and the indices of its views."""
    batch = batches.batch(step, LATENT, latents=lambda index: index)
    assert batch.latents is not None
    return batch, batch.latents


def drawn_views(batches: Batches, step: int) -> list[list[int]]:
    """List the views of each scene of a step, counted within the scene."""
    batch, index = drawn(batches, step)
    return (index.view(len(batch.scene), -1) - 8 * batch.scene[:, None]).tolist()


def test_a_round_visits_every_scene_once(batches_of) -> None:
    batches, orders = batches_of(), []
    for start in range(0, 20, 2):
        scenes = torch.cat([batches.draw(start)[0], batches.draw(start + 1)[0]]).tolist()
        assert sorted(scenes) == [0, 1, 2, 3]
        orders.append(tuple(scenes))
    assert len(set(orders)) > 1


def test_a_round_that_does_not_come_out_even_leaves_no_scene_out(batches_of) -> None:
    batches = batches_of(scenes=("0:4",))
    batches.size = replace(batches.size, scenes=3)
    steps = [batches.draw(step) for step in range(24)]
    assert all(len(set(scene.tolist())) == 3 for scene, _ in steps)
    order = [pair for scene, visits in steps for pair in zip(scene.tolist(), visits, strict=True)]
    assert sorted(order) == [(s, n) for s in range(4) for n in range(18)]  # each visit of each scene once
    assert [n for _, n in order] == sorted(n for _, n in order)


def test_more_scenes_a_step_than_there_are_means_all_of_them(batches_of) -> None:
    batches = batches_of()
    batches.size = replace(batches.size, scenes=9)
    assert sorted(batches.draw(5)[0].tolist()) == [0, 1, 2, 3]
    assert batches.images_per_step == 4 * 3


def test_draws_follow_from_seed_and_step_alone(batches_of) -> None:
    batches, other = batches_of(), batches_of(seed=1)
    before = [(batches.draw(step)[0].tolist(), drawn_views(batches, step)) for step in range(6)]
    torch.manual_seed(99)
    again = [(batches.draw(step)[0].tolist(), drawn_views(batches, step)) for step in reversed(range(6))]
    assert before == again[::-1]
    assert before != [(other.draw(step)[0].tolist(), drawn_views(other, step)) for step in range(6)]


@pytest.mark.parametrize("at_once", [1, 3, 4])
def test_a_scene_s_views_and_seeds_depend_on_its_own_visits_alone(batches_of, at_once: int) -> None:
    def seen(scenes: tuple[str, ...], at_once: int) -> dict[str, list]:
        batches, found = batches_of(scenes), {}
        batches.size = replace(batches.size, scenes=at_once)
        for step in range(3 * len(batches.views.names)):
            batch, index = drawn(batches, step)
            for i, s in enumerate(batch.scene.tolist()):
                part = slice(3 * i, 3 * i + 3)
                views = [batches.views.train.labels[v] for v in index[part]]
                found.setdefault(batches.views.names[s], []).append((views, batch.seeds[part]))
        return found

    alone, together = seen(("vehicle_0002",), 1)["vehicle_0002"], seen(("0:4",), at_once)["vehicle_0002"]
    assert alone == together[: len(alone)]


def test_another_attempt_draws_other_views_and_seeds(batches_of) -> None:
    batches = batches_of()
    again = batches.only([0, 1, 2, 3], attempt=1)
    assert batches.draw(3)[0].tolist() == again.draw(3)[0].tolist()
    assert not set(drawn(batches, 3)[0].seeds) & set(drawn(again, 3)[0].seeds)
    assert [drawn_views(batches, step) for step in range(4)] != [drawn_views(again, step) for step in range(4)]


def test_views_of_a_scene_differ_within_a_step_and_between_steps(batches_of) -> None:
    steps = [drawn_views(batches_of(), step) for step in range(10)]
    assert all(len(set(row)) == 3 for views in steps for row in views)
    assert {view for views in steps for row in views for view in row} == set(range(8))


def test_more_views_a_step_than_a_scene_has_are_spread_evenly(batches_of) -> None:
    for row in drawn_views(batches_of(views=20), 0):
        assert sorted(Counter(row).values()) == [2] * 4 + [3] * 4


def test_a_batch_is_scene_major_and_its_cameras_are_those_of_its_images(batches_of) -> None:
    batches = batches_of()
    batch, index = drawn(batches, 3)
    scene, _ = batches.draw(3)
    assert batch.scene.tolist() == scene.tolist() and batch.slot.tolist() == [0, 0, 0, 1, 1, 1]
    assert (index // 8).tolist() == [s for s in scene.tolist() for _ in range(3)]
    assert torch.equal(batch.view.c2w, batches.views.train.view.c2w[index])
    images = batches.batch(3, replace(LATENT, losses={"rgb": 1.0})).images
    assert images is not None and torch.equal(images, batches.views.images(batches.views.train, index))


def test_random_pixels_follow_from_the_step_and_count_as_their_share_of_an_image(batches_of) -> None:
    batches = batches_of(rays=256)
    pixels = drawn(batches, 2)[0].pixels
    assert pixels.shape == (6, 256)
    assert 0 <= pixels.min() < 64
    assert 960 <= pixels.max() < 1024
    assert torch.equal(pixels, drawn(batches, 2)[0].pixels)
    assert not torch.equal(pixels, drawn(batches, 3)[0].pixels)
    assert batches.images_per_step == 6 * 256 / 1024
