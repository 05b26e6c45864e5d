"""Masks named by frames and in masks/."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from tda_nerfstudio.atlas.bounds import fit_box
from tda_nerfstudio.atlas.decoding import decode_mask
from tda_nerfstudio.atlas.images import read_alpha, read_image
from tda_nerfstudio.atlas.layouts.scene import read_scene
from tda_nerfstudio.base.errors import TdaError

HALF = np.zeros((8, 8), np.uint8)
HALF[:, :4] = 1


def photographs(scene_at, folder, named=False):
    """Write a nerfstudio scene of opaque grey images in images/, with masks that keep their left halves."""
    scene_at(folder, "nerfstudio")
    (folder / "rgb").rename(folder / "images")
    (folder / "masks").mkdir()
    content = json.loads((folder / "transforms.json").read_text())
    for frame in content["frames"]:
        frame["file_path"] = frame["file_path"].replace("rgb", "images")
        name = frame["file_path"].removeprefix("images/")
        Image.new("RGB", (8, 8), (90, 90, 90)).save(folder / "images" / name)
        Image.fromarray(HALF).save(folder / "masks" / name)
        if named:
            frame["mask_path"] = f"masks/{name}"
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("named", [False, True])
def test_what_masks_leave_out_is_white_and_empty(tmp_path, scene_at, named):
    scene = read_scene(photographs(scene_at, tmp_path / "car", named), eval_every=0)
    assert scene.notes == ("pixels where masks are 0 are white",)
    for picture in scene.train.pictures:
        expected = np.where(HALF[..., None] == 1, 90, 255).repeat(3, -1)
        assert read_image(picture, 8, 8).tolist() == expected.tolist()
        assert read_alpha(picture).tolist() == (255 * HALF.astype(int)).tolist()
    folder = scene_at(tmp_path / "bare", "nerfstudio")
    for path in (folder / "rgb").iterdir():
        Image.new("RGB", (8, 8), (90, 90, 90)).save(path)
    assert not torch.equal(fit_box([scene]), fit_box([read_scene(folder, eval_every=0)]))


def test_a_mask_at_another_size_is_enlarged_without_blur(tmp_path, scene_at):
    folder = photographs(scene_at, tmp_path / "car")
    for path in (folder / "masks").iterdir():
        Image.fromarray(HALF[::2, ::2]).save(path)
    picture = read_scene(folder, eval_every=0).train.pictures[0]
    assert read_alpha(picture).tolist() == (255 * HALF.astype(int)).tolist()


def test_alpha_and_palettes_of_masks_count(tmp_path):
    white, half = np.full_like(HALF, 255), 255 * HALF
    palette = Image.fromarray(1 - HALF).convert("P")
    palette.putdata((1 - HALF).flatten().tolist())
    palette.putpalette([255, 255, 255, 0, 0, 0])  # index 0 is white: the left half
    clear = Image.new("P", (8, 8))
    clear.putdata((1 - HALF).flatten().tolist())
    clear.putpalette([255, 255, 255, 255, 255, 255])
    clear.info["transparency"] = 1
    masks = {
        "LA": Image.fromarray(np.stack([white, half], -1)),
        "RGBA": Image.fromarray(np.stack([white, white, white, half], -1)),
        "opaque": Image.fromarray(np.stack([half, white], -1)),
        "palette": palette,
        "clear": clear,
    }
    for name, mask in masks.items():
        mask.save(tmp_path / f"{name}.png")
        assert decode_mask(tmp_path / f"{name}.png").tolist() == (HALF == 1).tolist(), name


def test_masks_may_have_another_suffix(tmp_path, scene_at):
    folder = photographs(scene_at, tmp_path / "car")
    content = (folder / "transforms.json").read_text().replace(".png", ".jpg")
    (folder / "transforms.json").write_text(content)
    for path in (folder / "images").iterdir():
        Image.open(path).save(path.with_suffix(".jpg"))
    assert read_scene(folder, eval_every=0).train.pictures[3].mask == folder / "masks/000003.png"


def test_masks_that_do_not_fit_are_refused(tmp_path, scene_at):
    folder = photographs(scene_at, tmp_path / "car")
    Image.fromarray(HALF[:, :4]).save(folder / "masks/000001.png")
    with pytest.raises(TdaError, match=r"Mask 'masks/000001.png' is 4 x 8, but its image 'images/000001.png' is 8 x 8"):
        read_scene(folder)
    (folder / "masks/000001.png").write_bytes(b"hello")
    with pytest.raises(TdaError, match=r"Scene 'car': Mask .*masks/000001.png cannot be read \(not an image\)"):
        read_scene(folder)
    (folder / "masks/000001.png").unlink()
    with pytest.raises(TdaError, match=r"masks/ holds masks of other images, but none of 'images/000001.png'"):
        read_scene(folder)
    for path in (folder / "masks").iterdir():
        path.unlink()
    assert read_scene(folder).train.pictures[0].mask is None
