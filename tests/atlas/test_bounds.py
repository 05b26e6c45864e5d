from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from tda_nerfstudio.atlas.atlas import read_atlas
from tda_nerfstudio.atlas.bounds import fit_box
from tda_nerfstudio.atlas.layouts.scene import read_scene
from tda_nerfstudio.base.errors import TdaError

LOW, HIGH = torch.tensor([-0.2, -0.45, -0.1]), torch.tensor([0.25, 0.4, 0.2])


def scene(scene_at, folder, low=LOW, high=HIGH, **options):
    return read_scene(scene_at(folder, "nerfstudio", count=24, size=64, low=low, high=high, **options), eval_every=0)


def holds_tightly(box, low, high, share=0.15):
    room = share * (high - low)
    return bool((box[0] <= low).all() and (box[1] >= high).all()) and bool(
        (box[0] >= low - room).all() and (box[1] <= high + room).all()
    )


@pytest.mark.parametrize("mode", ["RGBA", "RGB"])
def test_box_holds_a_box_tightly(tmp_path, scene_at, mode):
    box = fit_box([scene(scene_at, tmp_path / "a", mode=mode)], views_per_scene=24)
    assert box.dtype == torch.float32 and holds_tightly(box, LOW, HIGH)


def test_box_holds_the_union(tmp_path, scene_at):
    high = torch.tensor([0.4, 0.1, 0.45])
    scenes = [scene(scene_at, tmp_path / "a"), scene(scene_at, tmp_path / "b", low=-high, high=high)]
    box = fit_box(scenes, views_per_scene=24)
    assert holds_tightly(box, torch.minimum(LOW, -high), torch.maximum(HIGH, high))
    alone = fit_box(scenes, views_per_scene=24, max_scenes=1)  # the first of them
    assert holds_tightly(alone, LOW, HIGH)


def test_margin_widens_each_side_by_its_share(tmp_path, scene_at):
    scenes = [scene(scene_at, tmp_path / "a")]
    none, half = fit_box(scenes, margin=0.0), fit_box(scenes, margin=0.5)
    extent = none[1] - none[0]
    torch.testing.assert_close(half, torch.stack([none[0] - 0.5 * extent, none[1] + 0.5 * extent]))
    assert (none[0] <= LOW).all() and (none[1] >= HIGH).all()


def test_white_parts_of_an_object_are_no_holes(tmp_path, scene_at):
    views = scene(scene_at, tmp_path / "a", mode="RGB")
    before = fit_box([views])
    for path in views.train.paths:
        pixels = np.array(Image.open(path))
        coloured = (pixels < 250).any(-1)
        shifts = [np.roll(coloured, (down, right), (0, 1)) for down in (-3, 0, 3) for right in (-3, 0, 3)]
        pixels[np.logical_and.reduce(shifts)] = 255
        Image.fromarray(pixels).save(path)
    after = fit_box([views])
    assert (after[0] <= LOW).all() and (after[1] >= HIGH).all()
    torch.testing.assert_close(after, before, atol=0.1, rtol=0)


def fill(views, colour, mode="RGB"):
    for path in views.train.paths:
        Image.new(mode, (64, 64), colour).save(path)
    return views


@pytest.mark.parametrize(
    ("mode", "colour"),
    [("RGB", (90, 90, 90)), ("RGB", (255, 255, 255)), ("RGBA", (0, 0, 0, 0)), ("RGBA", (9, 9, 9, 255))],
)
def test_without_silhouettes_the_box_is_the_cube_that_all_cameras_see(tmp_path, scene_at, mode, colour):
    box = fit_box([fill(scene(scene_at, tmp_path / "a"), colour, mode)])
    half = 2 * 0.5 / 1.2  # distance 2, focal length 1.2 image widths
    torch.testing.assert_close(box, half * torch.tensor([[-1.0] * 3, [1.0] * 3]), atol=1e-4, rtol=0)


def test_a_scene_without_silhouettes_counts_as_the_cube(tmp_path, scene_at):
    scenes = [scene(scene_at, tmp_path / "a"), fill(scene(scene_at, tmp_path / "b"), (90, 90, 90))]
    torch.testing.assert_close(fit_box(scenes)[1], torch.full((3,), 2 * 0.5 / 1.2), atol=1e-4, rtol=0)


def test_an_object_that_close_views_cut_off_is_kept(tmp_path, scene_at):
    high = torch.tensor([0.3, 1.1, 0.3])  # longer than what a view sees at the centre
    box = fit_box([scene(scene_at, tmp_path / "a", low=-high, high=high)])
    assert (box[0] < box[1]).all() and box[1, 1] >= 2 * 0.5 / 1.2 and box[1, 0] < 0.6


def test_contradicting_silhouettes_give_the_cube(tmp_path, scene_at):
    views = scene(scene_at, tmp_path / "a")
    for index, path in enumerate(views.train.paths):  # a dot in another corner of every view
        pixels = np.zeros((64, 64, 4), np.uint8)
        pixels[2 + 58 * (index % 2), 2 + 58 * (index // 2 % 2)] = 255
        Image.fromarray(pixels).save(path)
    box = fit_box([views], views_per_scene=24)
    torch.testing.assert_close(box[1], torch.full((3,), 2 * 0.5 / 1.2), atol=1e-4, rtol=0)


def test_one_camera_gives_a_proper_box(tmp_path, scene_at):
    views = read_scene(scene_at(tmp_path / "a", "nerfstudio", count=1), eval_every=0)
    box = fit_box([views])
    assert torch.isfinite(box).all() and (box[0] < box[1]).all()


def test_large_images_are_reduced_without_losing_the_object(tmp_path, scene_at):
    views = read_scene(scene_at(tmp_path / "a", "srn", count=12, size=300, low=LOW, high=HIGH), eval_every=0)
    box = fit_box([views])
    assert (box[0] <= LOW).all() and (box[1] >= HIGH).all() and (box[1] - box[0] < 1.5 * (HIGH - LOW)).all()


def test_views_that_cannot_be_decoded_are_left_out(tmp_path, scene_at):
    views, damaged = scene(scene_at, tmp_path / "a"), 4
    for path in views.train.paths[:damaged]:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    box = fit_box([views], views_per_scene=24)
    assert holds_tightly(box, LOW, HIGH, share=0.3)
    for path in views.train.paths:
        path.write_bytes(b"no image")
    torch.testing.assert_close(fit_box([views])[1], torch.full((3,), 2 * 0.5 / 1.2), atol=1e-4, rtol=0)


def test_no_scene():
    with pytest.raises(TdaError, match="no scene to fit a box to"):
        fit_box([])


def test_vehicles(cars):
    box = fit_box(read_atlas(cars, [f"{cars.parent}/splits.json#tda-ae"]).scenes)
    assert (box[1] >= torch.tensor([0.3, 0.5, 0.35])).all() and (box[1] <= torch.tensor([0.5, 0.65, 0.6])).all()
    assert (box[0] <= -torch.tensor([0.3, 0.5, 0.35])).all() and (box[0] >= -torch.tensor([0.5, 0.65, 0.6])).all()
