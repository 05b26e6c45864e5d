"""Textures against values worked out by hand."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from make_models import png
from PIL import Image

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.models.textures import (
    CLAMP,
    MAX_SIDE,
    MIRROR,
    REPEAT,
    Pyramids,
    Texture,
    open_texture,
    read_pixels,
)
from tda_nerfstudio.making.srgb import to_linear, to_srgb

BLACK, WHITE, RED = (0, 0, 0, 255), (255, 255, 255, 255), (255, 0, 0, 255)


def look_up(pixels, uv, footprint=0.0, wrap=(REPEAT, REPEAT), smooth=True):
    pyramids = Pyramids([Texture(np.array(pixels, np.uint8), wrap, smooth)])
    return pyramids.look_up(np.zeros(1, int), np.array([uv], float), np.array([footprint]))[0]


def test_the_first_texel_is_at_the_upper_left():
    texels = [[RED, BLACK, BLACK, BLACK], [WHITE, BLACK, BLACK, BLACK]]
    assert look_up(texels, (1 / 8, 1 / 4)) == pytest.approx([1, 0, 0, 1])
    assert look_up(texels, (1 / 8, 3 / 4)) == pytest.approx([1, 1, 1, 1])


def test_between_texels_light_is_mixed_and_not_its_srgb_code():
    assert look_up([[BLACK, WHITE]], (0.5, 0.5), wrap=(CLAMP, CLAMP))[0] == pytest.approx(0.5)
    grey = (128, 128, 128, 255)
    expected = 0.75 * to_linear(np.array(128 / 255)) + 0.25
    assert look_up([[grey, WHITE]], (0.375, 0.5), wrap=(CLAMP, CLAMP))[0] == pytest.approx(expected, rel=1e-5)


def test_a_nearest_sampler_mixes_nothing():
    assert [look_up([[BLACK, WHITE]], (u, 0.5), smooth=False)[0] for u in (0.26, 0.49, 0.51, 0.74)] == [0, 0, 1, 1]


def test_beyond_the_border_a_texture_repeats_ends_or_is_mirrored():
    row = [[BLACK, WHITE, WHITE, RED]]
    for wrap, at_1125, at_minus_0125 in ((REPEAT, BLACK, RED), (CLAMP, RED, BLACK), (MIRROR, RED, BLACK)):
        for u, expected in ((1.125, at_1125), (-0.125, at_minus_0125)):
            assert look_up(row, (u, 0.5), wrap=(wrap, REPEAT))[:3] == pytest.approx(np.array(expected[:3]) / 255)
    assert look_up(row, (1.375, 0.5), wrap=(MIRROR, REPEAT)) == pytest.approx([1, 1, 1, 1])
    assert look_up(row, (-5.875, 7.5)) == pytest.approx([0, 0, 0, 1])


def test_a_wide_footprint_sees_the_average_of_light():
    checks = np.array([[BLACK, WHITE] * 4, [WHITE, BLACK] * 4] * 4)
    half = np.rint(to_srgb(np.array(0.5)) * 255) / 255
    for footprint in (1 / 4, 1 / 2, 1, 100):
        assert look_up(checks, (0.3, 0.9), footprint)[0] == pytest.approx(to_linear(half), rel=1e-5)
    assert look_up(checks, (1 / 16, 1 / 16), 0.99 / 4) == pytest.approx([0, 0, 0, 1])


def test_odd_sizes_shrink_to_one_texel_too():
    assert look_up([[RED] * 3] * 5, (0.5, 0.5), 10.0) == pytest.approx([1, 0, 0, 1])


def test_clear_texels_lend_no_colour():
    clear_green = (0, 255, 0, 0)
    for footprint in (0.0, 10.0):
        found = look_up([[RED, clear_green]], (0.5, 0.5), footprint)
        assert found == pytest.approx([1, 0, 0, 0.5], abs=0.002)


def test_textures_of_different_sizes_share_one_table():
    both = Pyramids([Texture(np.full((1, 1, 4), 255, np.uint8)), Texture(np.array([[RED] * 8] * 4, np.uint8))])
    found = both.look_up(np.array([1, 0, 1]), np.full((3, 2), 0.3), np.array([0.0, 0.0, 9.0]))
    assert found == pytest.approx(np.array([[1, 0, 0, 1], [1, 1, 1, 1], [1, 0, 0, 1]]))


def test_grey_palette_and_large_images_are_read():
    file = io.BytesIO()
    Image.new("L", (3 * MAX_SIDE, 6), 51).convert("P").save(file, "PNG")
    pixels = read_pixels(open_texture(file.getvalue(), "It"), file.getvalue(), "It")
    assert pixels.shape == (2, MAX_SIDE, 4) and (pixels == (51, 51, 51, 255)).all()


def test_what_is_no_texture_is_refused():
    with pytest.raises(TdaError, match=r"^Texture 7 cannot be read \(not an image\). Export it as PNG or JPEG.$"):
        open_texture(b"%!PS-Adobe", "Texture 7")
    whole = png(np.random.default_rng(0).integers(0, 256, (64, 64, 3)))
    half = whole[: len(whole) // 2]
    with pytest.raises(TdaError, match=r"^Texture 7 cannot be decoded \(.*truncated.*\). Export it again.$"):
        read_pixels(open_texture(half, "Texture 7"), half, "Texture 7")
    with pytest.raises(TdaError, match=r"^Texture 7 cannot be decoded \(it holds floating point numbers\)"):
        read(saved(Image.new("F", (2, 2)), "TIFF"))


def read(data: bytes) -> list:
    return read_pixels(open_texture(data, "Texture 7"), data, "Texture 7")[0].tolist()


def saved(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def deep(kind: int, row: list, key: tuple[int, ...] = (), depth: int = 16) -> bytes:
    """Write a PNG of one row: kind 0 is grey, 2 RGB; `key` is the colour that is transparent."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", len(row), 1, depth, kind, 0, 0, 0)
    values = np.array(row, ">u2").tobytes() if depth == 16 else bytes(row[:1])
    data = chunk(b"IHDR", header) + (chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)) if key else b"")
    return b"\x89PNG\r\n\x1a\n" + data + chunk(b"IDAT", zlib.compress(b"\0" + values)) + chunk(b"IEND", b"")


def test_sixteen_bits_become_eight():
    grey = [[v, v, v, 255] for v in (0, 1, 1, 128, 255)]
    assert read(deep(0, [0, 255, 256, 32768, 65535])) == grey
    assert read(saved(Image.fromarray(np.array([[0, 255, 256, 32768, 65535]], np.uint16)), "TIFF")) == grey
    assert read(deep(2, [[32768, 255, 65535]])) == [[128, 0, 255, 255]]


def test_a_transparent_colour_is_compared_at_the_files_depth():
    assert read(deep(0, [0, 256, 257], (256,))) == [[0, 0, 0, 255], [1, 1, 1, 0], [1, 1, 1, 255]]
    found = read(deep(2, [[32768, 16384, 8192], [32768, 16385, 8192]], (32768, 16384, 8192)))
    assert found == [[128, 64, 32, 0], [128, 64, 32, 255]]
    found = read(deep(0, [0b00011011, 0, 0, 0], (2,), depth=2))  # 0, 1, 2, 3
    assert [pixel[3] for pixel in found] == [255, 255, 0, 255]
    key = saved(Image.fromarray(np.array([[[1, 2, 3], [1, 2, 4]]], np.uint8)), "PNG", transparency=(1, 2, 3))
    assert read(key) == [[1, 2, 3, 0], [1, 2, 4, 255]]
