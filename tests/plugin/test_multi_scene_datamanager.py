"""The one scene that viewer and renderers see, and what else nerfstudio asks for."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable

import pytest
import torch

from tda_nerfstudio.base.errors import TdaError


@pytest.fixture
def manager(configure: Callable):
    """Serve two of four scenes, three of their eight views a step."""
    config = configure().pipeline.datamanager
    config.scenes_per_step, config.views_per_scene = 2, 3
    return config.setup(device="cpu")


def test_the_active_scene_changes_nothing_that_learns(pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def draws(of) -> list:
        batches = [of.learner.batches.batch(step, of.learner.wave.phases[0]) for step in range(4)]
        return [(batch.images.sum().item(), batch.view.c2w.tolist()) for batch in batches]

    expected = draws(pipeline)
    held_out = [(s, images.sum().item()) for s, _, images in pipeline.datamanager.views.held_out_views()]
    pipeline.select_scene("vehicle_0003")
    assert draws(pipeline) == expected
    assert [(s, images.sum().item()) for s, _, images in pipeline.datamanager.views.held_out_views()] == held_out
    monkeypatch.setenv("TDA_SCENE", "vehicle_0002")
    other = pipeline.config.setup(device="cpu", test_mode="val")
    assert other.datamanager.active_scene == "vehicle_0002"
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


def test_a_step_explains_as_many_pixels_as_its_rays(manager) -> None:
    assert manager.get_train_rays_per_batch() == 2 * 8 * 64  # random rays of 8 views of each scene
    manager.config.rays_per_view = None
    assert manager.get_train_rays_per_batch() == 6 * 1024  # whole views


def test_an_image_that_cannot_be_read_says_how_to_leave_its_scene_out(configure, tiny_atlas, tmp_path) -> None:
    shutil.copytree(tiny_atlas, tmp_path / "tiny")
    config = configure().pipeline.datamanager
    config.data = config.dataparser.data = tmp_path / "tiny"
    manager = config.setup(device="cpu")
    views, name = manager.views, manager.scene_names[1]
    path = manager.atlas.scenes[1].train.paths[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    option = "Or leave its scene out: --pipeline.datamanager.dataparser.scenes"
    rest = shlex.join([*(config.dataparser.scenes or ["*"]), f"!{name}"])
    with pytest.raises(TdaError, match=rf"r_000.png cannot be decoded \(.*again. {option} {re.escape(rest)}$"):
        views.images(views.train, torch.arange(views.train.offsets[1] + 3))
    config.dataparser.scenes, config.dataparser.names = (name,), None
    with pytest.raises(TdaError, match=r"Copy or render it again.$"):  # it is the only one
        views = config.setup(device="cpu").views
        views.images(views.train, torch.arange(3))
