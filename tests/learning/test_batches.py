"""Draws of scenes, views and rays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scenes_on_disk import write_scene
from torch import Tensor
from torch.nn.functional import pixel_shuffle

from tda_nerfstudio.atlas.atlas import read_atlas
from tda_nerfstudio.autoencoder.build import build, resolve
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.autoencoder.identity import IdentityAutoencoder
from tda_nerfstudio.core.objective import Batch, Parts, latent_variance
from tda_nerfstudio.core.phase import Phase
from tda_nerfstudio.learning.batches import Batches, StepSize
from tda_nerfstudio.learning.latents import PIXEL_VARIANCE, TrainingLatents
from tda_nerfstudio.learning.views import SceneViews

LATENT = Phase("latent", 1, {"latent": 1.0}, {})
RGB = replace(LATENT, losses={"rgb": 1.0})
RAYS = pytest.mark.parametrize("rays", [None, 16])


@pytest.fixture
def batches_of(tiny_atlas: Path) -> Callable[..., Batches]:
    """Give tests `batches_of(scenes=("0:4",), seed=0, **size)`: two scenes, three of their eight views a step."""

    def make(scenes: tuple[str, ...] = ("0:4",), seed: int = 0, codec=None, **size) -> Batches:
        views = SceneViews(read_atlas(tiny_atlas, scenes=scenes))
        given = StepSize(**({"scenes": 2, "views": 3, "ray_views": 3, "rays": None} | size))
        return Batches(views, codec or IdentityAutoencoder(), given, seed)

    return make


class Indices(TrainingLatents):
    """Latents that are nothing but the indices of their views."""

    def __call__(self, index: Tensor, keep: bool = True) -> Tensor:
        return index

    def parts(self, index: Tensor, parts: Tensor, keep: bool = True) -> Parts:
        return Parts(parts, index, index)


def drawn(batches: Batches, step: int) -> tuple[Batch, Tensor]:
    """Draw a step, and the indices of its views."""
    batches.latents = Indices(batches.latents.codec, batches.views)
    batch = batches.batch(step, LATENT)
    index = batch.latents if batch.parts is None else batch.parts.latents
    assert index is not None
    return batch, index


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
    assert batches.size.images(LATENT, 4, batches.parts) == batches.size.images(RGB, 4, batches.parts) == 4 * 3


@RAYS
def test_draws_follow_from_seed_and_step_alone(batches_of, rays: int | None) -> None:
    batches, other = batches_of(rays=rays), batches_of(seed=1, rays=rays)
    before = [(batches.draw(step)[0].tolist(), drawn_views(batches, step)) for step in range(6)]
    torch.manual_seed(99)
    again = [(batches.draw(step)[0].tolist(), drawn_views(batches, step)) for step in reversed(range(6))]
    assert before == again[::-1]
    assert before != [(other.draw(step)[0].tolist(), drawn_views(other, step)) for step in range(6)]


@RAYS
@pytest.mark.parametrize("at_once", [1, 3, 4])
def test_a_scene_s_views_rays_and_seeds_depend_on_its_own_visits_alone(batches_of, at_once: int, rays) -> None:
    def seen(scenes: tuple[str, ...], at_once: int) -> dict[str, list]:
        batches, found = batches_of(scenes, rays=rays), {}
        batches.size = replace(batches.size, scenes=at_once)
        for step in range(3 * len(batches.views.names)):
            batch, index = drawn(batches, step)
            assert len(batch.seeds) == len(batch.scene)
            for i, s in enumerate(batch.scene.tolist()):
                own = slice(3 * i, 3 * i + 3)
                views = [batches.views.train.labels[v] for v in index[own]]
                parts = None if batch.parts is None else batch.parts.index[own].tolist()
                found.setdefault(batches.views.names[s], []).append((views, parts, batch.seeds[i]))
        return found

    alone, together = seen(("vehicle_0002",), 1)["vehicle_0002"], seen(("0:4",), at_once)["vehicle_0002"]
    assert alone == together[: len(alone)]


@RAYS
def test_another_attempt_draws_other_views_rays_and_seeds(batches_of, rays: int | None) -> None:
    batches = batches_of(rays=rays)
    again = batches.only([0, 1, 2, 3], attempt=1)
    assert batches.draw(3)[0].tolist() == again.draw(3)[0].tolist()
    (one, _), (other, _) = drawn(batches, 3), drawn(again, 3)
    assert not set(one.seeds) & set(other.seeds)
    if rays:
        assert not torch.equal(one.parts.index, other.parts.index)
    assert [drawn_views(batches, step) for step in range(4)] != [drawn_views(again, step) for step in range(4)]


@RAYS
def test_views_of_a_scene_differ_within_a_step_and_between_steps(batches_of, rays: int | None) -> None:
    batches = batches_of(rays=rays)
    steps = [drawn_views(batches, step) for step in range(10)]
    assert all(len(set(row)) == 3 for views in steps for row in views)
    assert {view for views in steps for row in views for view in row} == set(range(8))


@pytest.mark.parametrize("size", [{"views": 20}, {"ray_views": 20, "rays": 2}], ids=str)
def test_more_views_a_step_than_a_scene_has_are_spread_evenly(batches_of, size: dict) -> None:
    for row in drawn_views(batches_of(**size), 0):
        assert sorted(Counter(row).values()) == [2] * 4 + [3] * 4


@RAYS
def test_a_batch_is_scene_major_and_its_cameras_are_those_of_its_images(batches_of, rays: int | None) -> None:
    batches = batches_of(rays=rays)
    batch, index = drawn(batches, 3)
    scene, _ = batches.draw(3)
    assert batch.scene.tolist() == scene.tolist() and batch.slot.tolist() == [0, 0, 0, 1, 1, 1]
    assert (index // 8).tolist() == [s for s in scene.tolist() for _ in range(3)]
    assert torch.equal(batch.view.c2w, batches.views.train.view.c2w[index])
    images = batches.batch(3, RGB).images
    assert images is not None and torch.equal(images, batches.views.images(batches.views.train, index))


def test_random_parts_follow_from_the_step_and_count_as_their_share_of_an_image(batches_of) -> None:
    batches = batches_of(rays=256)
    parts = drawn(batches, 2)[0].parts.index
    assert batches.parts == 32 * 32 and parts.shape == (6, 256)
    assert 0 <= parts.min() < 128  # one in eight is anywhere, also above and below the object
    assert 896 <= parts.max() < 1024
    assert torch.equal(parts, drawn(batches, 2)[0].parts.index)
    assert not torch.equal(parts, drawn(batches, 3)[0].parts.index)
    assert batches.size.images(LATENT, 4, batches.parts) == 6 * 256 / 1024


@pytest.mark.parametrize(
    ("losses", "rates", "some"),
    [
        ({"latent", "tv"}, {"micro"}, True),
        ({"rgb"}, {"micro"}, False),
        ({"latent", "rgb"}, {"micro", "decoder"}, False),
        ({"ae"}, {"decoder"}, False),
        ({"latent"}, {"micro", "encoder"}, False),
    ],
)
def test_phases_that_neither_encode_nor_decode_see_random_parts_of_more_views(batches_of, losses, rates, some) -> None:
    batches = batches_of(views=1, ray_views=5, rays=16)
    phase = Phase("a", 1, dict.fromkeys(losses, 1.0), dict.fromkeys(rates, 1.0))
    batch = batches.batch(0, phase)
    assert batches.size.takes_parts(phase) is some and (batch.parts is not None) is some
    assert len(batch.slot) == (10 if some else 2) and (batch.images is None) is some
    assert (batch.latents is None) == (some or losses == {"rgb"} or phase.encodes)
    assert batches.size.images(phase, 4, batches.parts) == (2 * 5 * 16 / 1024 if some else 2)
    everything = batches_of(rays=None)
    assert not everything.size.takes_parts(phase) and everything.batch(0, phase).parts is None


AUTOENCODERS = {
    "identity": AutoencoderConfig(kind="identity"),
    "colours": AutoencoderConfig(kind="colours"),
    "fine": AutoencoderConfig(kind="fine"),
    "light": AutoencoderConfig(kind="light", f=4, width=16, blocks=1, start="scratch"),
}


@pytest.mark.parametrize("kind", AUTOENCODERS)
def test_parts_have_the_latents_and_variances_of_their_whole_views(batches_of, kind: str) -> None:
    batches = batches_of(codec=build(resolve(AUTOENCODERS[kind]), 3), rays=50)
    codec, index = batches.latents.codec, torch.tensor([9, 3, 9, 30])
    parts = batches.silhouettes.draw(index, 50, [torch.Generator().manual_seed(4)])
    whole = batches.latents.encode(index)
    expected = pixel_shuffle(whole, codec.sub).flatten(2)
    for keep in (False, True):
        found = batches.latents.parts(index, parts, keep)
        assert torch.equal(found.index, parts) and found.latents.shape == (4, codec.point_channels, 50)
        for row in range(4):  # the cache keeps float16
            assert torch.allclose(found.latents[row], expected[row][:, parts[row]], atol=2**-11)
        if kind in ("identity", "colours"):
            assert found.variance.unique().item() == pytest.approx(PIXEL_VARIANCE)
        else:
            own = latent_variance(expected[..., None], together=False)[..., 0]
            assert torch.allclose(found.variance, own, rtol=1e-2)
    assert (batches.latents.cache is None) == (kind in ("identity", "colours"))


def test_parts_of_an_image_whose_sides_are_odd_are_those_of_its_padding(tmp_path: Path) -> None:
    write_scene(tmp_path / "atlas/box", "nerfstudio", size=9)
    views = SceneViews(read_atlas(tmp_path / "atlas"))
    batches = Batches(views, IdentityAutoencoder(), StepSize(), 0)
    assert batches.parts == 10 * 10
    parts, index = torch.arange(100)[None], torch.tensor([2])
    expected = pixel_shuffle(batches.latents.encode(index), 2).flatten(2)
    assert torch.allclose(batches.latents.parts(index, parts).latents, expected, atol=1e-6)
