"""Draws of scenes and views, and the one scene that renderers see."""

from __future__ import annotations

import re
import shlex
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tda_nerfstudio.base.errors import TdaError


@pytest.fixture
def manager(configure: Callable):
    """Serve two of four scenes, three of their eight views a step."""
    config = configure().pipeline.datamanager
    config.scenes_per_step, config.views_per_scene = 2, 3
    return config.setup(device="cpu")


def test_a_round_visits_every_scene_once(manager) -> None:
    orders = []
    for start in range(0, 20, 2):
        scenes = torch.cat([manager.draw(start)[0], manager.draw(start + 1)[0]]).tolist()
        assert sorted(scenes) == [0, 1, 2, 3]
        orders.append(tuple(scenes))
    assert len(set(orders)) > 1


def test_a_round_that_does_not_come_out_even_leaves_no_scene_out(manager) -> None:
    manager.config.scenes_per_step = 3
    drawn = [manager.draw(step) for step in range(24)]
    assert all(len(set(scene.tolist())) == 3 for scene, _ in drawn)
    order = [pair for scene, visits in drawn for pair in zip(scene.tolist(), visits, strict=True)]
    assert sorted(order) == [(s, n) for s in range(4) for n in range(18)]  # each visit of each scene once
    assert [n for _, n in order] == sorted(n for _, n in order)


def test_more_scenes_a_step_than_there_are_means_all_of_them(manager) -> None:
    manager.config.scenes_per_step = 9
    assert sorted(manager.draw(5)[0].tolist()) == [0, 1, 2, 3]
    assert manager.images_per_step == 4 * 3


def drawn_views(manager, step: int) -> list[list[int]]:
    """List the views of each scene of a step, counted within the scene."""
    _, batch = manager.next_train(step)
    rows = batch["image_idx"].view(len(batch["scene_idx"]), -1) - 8 * batch["scene_idx"][:, None]
    return rows.tolist()


def test_draws_follow_from_seed_and_step_alone(manager) -> None:
    before = [(manager.draw(step)[0].tolist(), drawn_views(manager, step)) for step in range(6)]
    torch.manual_seed(99)
    again = [(manager.draw(step)[0].tolist(), drawn_views(manager, step)) for step in reversed(range(6))]
    assert before == again[::-1]
    manager.config.seed += 1
    assert before != [(manager.draw(step)[0].tolist(), drawn_views(manager, step)) for step in range(6)]


@pytest.mark.parametrize("at_once", [1, 3, 4])
def test_a_scene_s_views_and_seeds_depend_on_its_own_visits_alone(manager, at_once: int) -> None:
    def seen(scenes: tuple[str, ...], at_once: int) -> dict[str, list]:
        config = replace(manager.config, scenes_per_step=at_once)
        config.dataparser = replace(manager.config.dataparser, scenes=scenes)
        other, found = config.setup(device="cpu"), {}
        for step in range(3 * len(other.scene_names)):
            cameras, batch = other.next_train(step)
            for i, s in enumerate(batch["scene_idx"].tolist()):
                part = slice(3 * i, 3 * i + 3)
                views = [other.train_store.names[v] for v in batch["image_idx"][part]]
                found.setdefault(other.scene_names[s], []).append((views, batch["seeds"][part]))
        return found

    alone, together = seen(("vehicle_0002",), 1)["vehicle_0002"], seen((), at_once)["vehicle_0002"]
    assert alone == together[: len(alone)]


def test_views_of_a_scene_differ_within_a_step_and_between_steps(manager) -> None:
    drawn = [drawn_views(manager, step) for step in range(10)]
    assert all(len(set(row)) == 3 for views in drawn for row in views)
    assert {view for views in drawn for row in views for view in row} == set(range(8))


def test_more_views_a_step_than_a_scene_has_are_spread_evenly(manager) -> None:
    manager.config.views_per_scene = 20
    for row in drawn_views(manager, 0):
        assert sorted(Counter(row).values()) == [2] * 4 + [3] * 4


def test_a_batch_is_scene_major_and_names_its_images(manager) -> None:
    cameras, batch = manager.next_train(3)
    scene, _ = manager.draw(3)
    assert batch["scene_idx"].tolist() == scene.tolist()
    assert cameras.metadata["scene_idx"].flatten().tolist() == [s for s in scene.tolist() for _ in range(3)]
    assert (batch["image_idx"] // 8).tolist() == [s for s in scene.tolist() for _ in range(3)]
    assert torch.equal(cameras.camera_to_worlds, manager.train_store.c2w[batch["image_idx"]])


def test_training_images_are_the_files_on_white(manager) -> None:
    image = manager.train_images(torch.tensor([8 * 2 + 5]))[0]
    path = manager.atlas.scenes[2].train.paths[5]
    assert path.parts[-3:] == ("vehicle_0002", "train", "r_005.png")
    rgba = np.asarray(Image.open(path)).astype(float) / 255
    expected = rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]
    assert np.abs(image.permute(1, 2, 0).numpy() - expected).max() <= 0.5 / 255 + 1e-6


def test_the_active_scene_changes_no_draw(manager, monkeypatch: pytest.MonkeyPatch) -> None:
    def draws(of) -> list:
        batches = [of.next_train(step) for step in range(4)]
        return [(batch["image_idx"].tolist(), cameras.camera_to_worlds.tolist()) for cameras, batch in batches]

    expected = draws(manager)
    held_out = [(s, images.sum().item()) for s, _, images in manager.eval_views()]
    manager.select_scene("vehicle_0003")
    assert draws(manager) == expected
    assert [(s, images.sum().item()) for s, _, images in manager.eval_views()] == held_out
    monkeypatch.setenv("TDA_SCENE", "vehicle_0002")
    other = manager.config.setup(device="cpu")
    assert other.active_scene == "vehicle_0002"
    assert draws(other) == expected


@pytest.mark.parametrize("name", ["vehicle_0000", "vehicle_0003"])
def test_datasets_are_views_of_the_active_scene(manager, name: str) -> None:
    manager.select_scene(name)
    for dataset, split, count in ((manager.train_dataset, "train", 8), (manager.eval_dataset, "test", 2)):
        assert [path.parts[-3:-1] for path in dataset.image_filenames] == [(name, split)] * count
        assert set(dataset.cameras.metadata["scene_idx"].flatten().tolist()) == {int(name[-1])}
    assert manager.train_dataparser_outputs.image_filenames == manager.train_dataset.image_filenames
    camera, _ = next(iter(manager.fixed_indices_eval_dataloader))
    assert int(camera.metadata["scene_idx"].flatten()[0]) == int(name[-1])


def test_the_environment_wins_over_the_configured_scene(manager, monkeypatch: pytest.MonkeyPatch) -> None:
    manager.config.dataparser.scene = "vehicle_0001"
    assert manager.config.setup(device="cpu").active_scene == "vehicle_0001"
    monkeypatch.setenv("TDA_SCENE", "vehicle_0002")
    assert manager.config.setup(device="cpu").active_scene == "vehicle_0002"


def test_an_unknown_scene_suggests_the_nearest_and_changes_nothing(manager) -> None:
    with pytest.raises(
        TdaError,
        match=r"Unknown scene 'vehicle_003' in .*/tiny \(4 scenes: vehicle_0000, .*\). Did you mean '.*0003'\?",
    ):
        manager.select_scene("vehicle_003")
    assert manager.active_scene == "vehicle_0000"


def test_held_out_views_come_by_scene_in_order(manager) -> None:
    seen = [
        (s, cameras.metadata["scene_idx"].flatten().tolist(), images) for s, cameras, images in manager.eval_views()
    ]
    assert [(s, indices) for s, indices, _ in seen] == [(s, [s, s]) for s in range(4)]
    assert all(images.shape == (2, 3, 32, 32) and images.min() >= 0 and images.max() <= 1 for *_, images in seen)


def test_random_pixels_follow_from_the_step_and_count_as_their_share_of_an_image(manager) -> None:
    manager.config.rays_per_view = 256
    pixels = manager.next_train(2)[1]["pixels"]
    assert pixels.shape == (6, 256)
    assert 0 <= pixels.min() < 64
    assert 960 <= pixels.max() < 1024
    assert torch.equal(pixels, manager.next_train(2)[1]["pixels"])
    assert not torch.equal(pixels, manager.next_train(3)[1]["pixels"])
    assert manager.images_per_step == 6 * 256 / 1024
    assert manager.get_train_rays_per_batch() == 6 * 256


def test_single_evaluations_take_turns_among_scenes_and_views(manager) -> None:
    drawn = {int(manager.next_eval_image(step)[1]["image_idx"]) for step in range(64)}
    assert drawn == set(range(8))


def test_single_evaluations_every_200_steps_see_more_than_the_first_view(manager) -> None:
    drawn = {int(manager.next_eval_image(step)[1]["image_idx"]) % 2 for step in range(0, 8000, 200)}
    assert drawn == {0, 1}


def test_ns_render_spiral_begins_upright_and_interpolate_goes_around(manager) -> None:
    from nerfstudio.cameras.camera_paths import get_spiral_path

    camera, batch = manager.eval_dataloader.get_camera(image_idx=0)
    path = get_spiral_path(camera, steps=8, radius=0.1)
    assert batch == {} and len(path) == 8
    assert float(path.camera_to_worlds[:, 2, 1].min()) > 0.7  # up is up
    assert path.camera_to_worlds[:, 2, 0].abs().max() < 0.05  # and the horizon level
    assert manager.eval_dataset.cameras.camera_to_worlds.shape == (2, 3, 4)
    assert not torch.equal(camera.camera_to_worlds[0], manager.eval_dataset.cameras.camera_to_worlds[0])


def test_an_image_that_cannot_be_read_says_how_to_leave_its_scene_out(configure, tiny_atlas, tmp_path) -> None:
    shutil.copytree(tiny_atlas, tmp_path / "tiny")
    config = configure().pipeline.datamanager
    config.data = config.dataparser.data = tmp_path / "tiny"
    manager = config.setup(device="cpu")
    name, store = manager.scene_names[1], manager.train_store
    path = store.store._sources[store.starts[1]].path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    option = "Or leave its scene out: --pipeline.datamanager.dataparser.scenes"
    rest = shlex.join([*(config.dataparser.scenes or ["*"]), f"!{name}"])
    with pytest.raises(TdaError, match=rf"r_000.png cannot be decoded \(.*again. {option} {re.escape(rest)}$"):
        manager.train_images(torch.arange(store.starts[1] + 3))
    config.dataparser.scenes, config.dataparser.names = (name,), None
    with pytest.raises(TdaError, match=r"Copy or render it again.$"):  # it is the only one
        config.setup(device="cpu").train_images(torch.arange(3))
