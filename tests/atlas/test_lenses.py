"""Points that a lens has bent, drawn where OpenCV says, lie after reading where a pinhole would have shown them."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from tda_nerfstudio.atlas.images import Picture, read_alpha, read_image
from tda_nerfstudio.atlas.layouts.scene import read_scene
from tda_nerfstudio.atlas.lenses import Lens

WIDTH, HEIGHT, FX, FY, CX, CY = 320, 240, 250.0, 245.0, 165.5, 117.25
CAMERA = np.array([[FX, 0, CX], [0, FY, CY], [0, 0, 1]])
PLACES = [(-0.3, -0.25), (0.31, -0.2), (0.0, 0.0), (-0.25, 0.28), (0.33, 0.26), (0.1, -0.3)]
BENT = {
    "OPENCV": {"k1": -0.2, "k2": 0.05, "p1": 0.004, "p2": -0.006},
    "SIMPLE_RADIAL": {"k1": 0.15},
    "RADIAL": {"k1": 0.1, "k2": -0.05},
    "PINHOLE": {"k1": 0.1, "k2": 0.02, "k3": 0.01, "k4": 0.3, "k5": 0.02, "k6": 0.01},
    "OPENCV_FISHEYE": {"k1": 0.05, "k2": -0.02, "k3": 0.01, "k4": -0.003},
}


def bent(model, values):
    """Return where OpenCV's model of a lens shows the places, in pixels counted from the image's corner."""
    points = np.array([[(*place, 1.0)] for place in PLACES])
    if model == "OPENCV_FISHEYE":
        order, project = ("k1", "k2", "k3", "k4"), cv2.fisheye.projectPoints
        return project(points, np.zeros(3), np.zeros(3), CAMERA, np.array([values[k] for k in order]))[0][:, 0]
    order = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
    coefficients = np.array([values.get(key, 0.0) for key in order])
    return cv2.projectPoints(points, np.zeros(3), np.zeros(3), CAMERA, coefficients)[0][:, 0]


def blob(x, y):
    """Draw a dot around a place; a pixel's centre lies half a pixel from its corner."""
    columns, rows = np.arange(WIDTH) + 0.5, np.arange(HEIGHT)[:, None] + 0.5
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)


@pytest.mark.parametrize("model", BENT)
def test_bent_points_land_where_a_pinhole_shows_them(tmp_path, scene_at, model):
    folder = scene_at(tmp_path / "car", "nerfstudio", count=len(PLACES), size=8)
    camera = {"fl_x": FX, "fl_y": FY, "cx": CX, "cy": CY, "w": WIDTH, "h": HEIGHT, "camera_model": model, **BENT[model]}
    content = json.loads((folder / "transforms.json").read_text())
    (folder / "transforms.json").write_text(json.dumps(content | camera))
    shown = bent(model, BENT[model])
    straight = np.array(PLACES) * (FX, FY) + (CX, CY)
    assert np.abs(shown - straight).max() > 1
    for index, (x, y) in enumerate(shown):
        picture = np.rint(255 * (1 - blob(x, y))).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"rgb/{index:06d}.png")
    scene = read_scene(folder, eval_every=0)
    assert scene.notes == ("lens distortion is undone",) and (scene.width, scene.height) == (WIDTH, HEIGHT)
    assert scene.train.fx.tolist() == [FX] * 6 and scene.train.cy.tolist() == [CY] * 6
    for picture, place in zip(scene.train.pictures, straight, strict=True):
        image = 255.0 - read_image(picture, WIDTH, HEIGHT)[..., 0].numpy()
        image[blob(*place) < 1e-3] = 0  # beyond the image's border all is white
        columns, rows = np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5
        found = (image.sum(0) @ columns / image.sum(), image.sum(1) @ rows / image.sum())
        assert np.abs(np.array(found) - place).max() < 0.1


def test_a_lens_is_undone_at_any_size_of_its_image(tmp_path):
    lens = Lens(FX / WIDTH, FY / HEIGHT, CX / WIDTH, CY / HEIGHT, (-0.2, 0.05, 0.004, -0.006, 0, 0, 0, 0))
    x, y = bent("OPENCV", BENT["OPENCV"])[1]
    image = Image.fromarray(np.rint(255 * (1 - blob(x, y))).astype(np.uint8))
    image.save(tmp_path / "whole.png")
    image.reduce(2).save(tmp_path / "half.png")
    centres = []
    for name in ("whole.png", "half.png"):
        image = 255.0 - read_image(Picture(tmp_path / name, lens=lens), WIDTH // 2, HEIGHT // 2)[..., 0].numpy()
        image[:, -8:] = 0  # white beyond the image's border
        weights = image / image.sum()
        centres.append((weights.sum(0) @ np.arange(WIDTH // 2), weights.sum(1) @ np.arange(HEIGHT // 2)))
    assert np.abs(np.subtract(*centres)).max() < 0.1


def test_what_the_lens_did_not_see_is_white_and_never_shown_twice(tmp_path):
    Image.new("RGB", (WIDTH, HEIGHT), (80, 80, 80)).save(tmp_path / "a.png")

    def read(*coefficients):
        lens = Lens(0.4, 0.4 * WIDTH / HEIGHT, 0.5, 0.5, (*coefficients, *(0,) * (8 - len(coefficients))))
        return read_image(Picture(tmp_path / "a.png", lens=lens), WIDTH, HEIGHT)[..., 0]

    pincushion, folding = read(0.3), read(-0.5)  # the second one turns back at a radius of 0.82
    assert pincushion[0, 0] == 255 and pincushion[120, 160] == 80
    assert folding[0, 0] == 255 and folding[120, 2] == 255 and folding[120, 160 - 100] == 80
    assert read_alpha(Picture(tmp_path / "a.png", lens=Lens(1, 1, 0.5, 0.5, (0.3,) + (0,) * 7))) is None
