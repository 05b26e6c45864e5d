"""The panel's drawings are small, well-formed, quick to make and show the object."""

from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from tda_nerfstudio.plugin.viewer.drawing import (
    SHARPEST,
    Picture,
    around,
    as_markdown,
    draw_curves,
    draw_pictures,
)

SVG = "{http://www.w3.org/2000/svg}"


def embedded(svg: str) -> list[Image.Image]:
    """Decode the pictures in a drawing."""
    data = re.findall(r"data:image/png;base64,([^\"]+)", svg)
    return [Image.open(io.BytesIO(base64.b64decode(one))) for one in data]


def a_car() -> torch.Tensor:
    image = torch.ones(3, 64, 96)
    image[:, 20:36, 40:64] = torch.linspace(0, 0.9, 24)
    return image


def test_pictures_are_those_that_were_given_with_captions_and_notes() -> None:
    car, latent = a_car(), torch.rand(3, 32, 48)
    svg = draw_pictures(["a <title>"], [Picture("truth", car), Picture("latent", latent), Picture("out", car, "9 dB")])
    texts = [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert texts == ["a <title>", "truth", "latent", "out", "9 dB"]
    first, second, _ = embedded(svg)
    assert np.abs(np.asarray(first) / 255 - car.permute(1, 2, 0).numpy()).max() < 0.003
    assert second.size == (48, 32)
    styles = [image.get("style") for image in ElementTree.fromstring(svg).iter(f"{SVG}image")]
    assert styles == ["image-rendering:auto", "image-rendering:pixelated", "image-rendering:auto"]


def test_pictures_are_cropped_to_the_object_and_keep_their_aspect() -> None:
    left, top, width, height = around(a_car())
    assert left < 40 and top < 20 and left + width > 64 and top + height > 36
    assert width / height == pytest.approx(96 / 64) and width < 50
    assert around(torch.ones(3, 64, 96)) == (0, 0, 96, 64)
    assert around(torch.zeros(3, 64, 96)) == (0, 0, 96, 64)
    corner = torch.ones(3, 64, 96)
    corner[:, -1, -1] = 0
    assert around(corner) == (72, 48, 24, 16)


def test_large_pictures_are_made_smaller() -> None:
    (picture,) = embedded(draw_pictures([], [Picture("truth", torch.rand(3, 400, 800))]))
    assert picture.size == (SHARPEST, SHARPEST // 2)


def test_curves_have_a_line_each_and_tell_their_last_values() -> None:
    svg = draw_curves("losses", {"rgb": ([0, 1, 2], [1.0, 0.1, 0.01]), "none": ([], [])}, logarithmic=True)
    tree = ElementTree.fromstring(svg)
    (line,) = tree.iter(f"{SVG}polyline")
    heights = [float(pair.split(",")[1]) for pair in line.attrib["points"].split()]
    assert heights[1] == pytest.approx((heights[0] + heights[2]) / 2) and heights[0] < heights[2]
    assert [span.text for span in tree.iter(f"{SVG}tspan")] == ["rgb 0.01"]


@pytest.mark.parametrize("given", [{}, {"a": ([], [])}, {"a": ([1], [0.0])}])
def test_curves_without_a_point_say_so(given: dict) -> None:
    assert "none yet" in draw_curves("losses", given, logarithmic=True)


@pytest.mark.parametrize("line", [([3], [0.5]), ([3, 4], [0.5, 0.5]), ([1, 2], [-1.0, 0.0])])
def test_one_point_and_level_curves_can_be_drawn(line) -> None:
    assert "NaN" not in draw_curves("shares", {"a": line, "b": line})


def test_markdown_holds_the_drawing_and_no_sign_that_it_would_read() -> None:
    text = as_markdown(draw_curves("<{*_title", {}), "live")
    (data,) = re.findall(r'src="data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)"', text)
    assert ElementTree.fromstring(base64.b64decode(data)).tag == f"{SVG}svg"
    assert "title" not in text
