from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from tda_nerfstudio.atlas.images import ImageStore, probe_image, read_alpha, read_image
from tda_nerfstudio.atlas.resampling import same_shape
from tda_nerfstudio.base.errors import TdaError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 4), dtype=np.uint8)


def save(path, pixels, **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)
    return path


def test_alpha_is_composited_on_white_in_srgb(tmp_path):
    path = save(tmp_path / "a.png", PIXELS)
    alpha = PIXELS[..., 3:] / 255.0
    expected = np.floor(PIXELS[..., :3] * alpha + 255 * (1 - alpha) + 0.5)
    image = read_image(path, 8, 6)
    assert image.dtype == torch.uint8 and image.shape == (6, 8, 3)
    assert np.abs(image.numpy() - expected).max() <= 1 and (image.numpy() == expected).mean() > 0.98
    assert read_alpha(path).tolist() == PIXELS[..., 3].tolist()


def test_opaque_and_clear_pixels_are_exact(tmp_path):
    pixels = PIXELS.copy()
    pixels[:3, :, 3], pixels[3:, :, 3] = 255, 0
    image = read_image(save(tmp_path / "a.png", pixels), 8, 6)
    assert image[:3].tolist() == pixels[:3, :, :3].tolist() and (image[3:] == 255).all()


def test_other_kinds_of_image(tmp_path):
    gray, rgb = PIXELS[..., 0], PIXELS[..., :3]
    three = np.repeat(gray[..., None], 3, -1).tolist()
    assert read_image(save(tmp_path / "rgb.png", rgb), 8, 6).tolist() == rgb.tolist()
    assert read_image(save(tmp_path / "gray.png", gray), 8, 6).tolist() == three
    assert read_image(save(tmp_path / "16.png", gray.astype(np.uint16) * 257), 8, 6).tolist() == three
    palette = Image.fromarray(gray % 4, mode="P")
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    path = save(tmp_path / "palette.png", palette, transparency=3)
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]])
    assert read_image(path, 8, 6).tolist() == colours[gray % 4].tolist()
    assert read_alpha(path).tolist() == np.where(gray % 4 == 3, 0, 255).tolist()
    flat = np.full((6, 8, 3), 100, np.uint8)
    assert (read_image(save(tmp_path / "a.jpg", flat), 8, 6).int() - 100).abs().max() <= 1
    assert read_alpha(tmp_path / "a.jpg") is None and read_alpha(tmp_path / "16.png") is None


def test_probe_reads_sizes(tmp_path):
    for name in ("a.png", "a.jpg", "a.bmp"):
        assert probe_image(save(tmp_path / name, PIXELS[..., :3])) == (8, 6)


def test_probe_finds_what_is_cut_missing_or_foreign(tmp_path):
    for name in ("a.png", "a.jpg"):
        path = save(tmp_path / name, PIXELS[..., :3])
        path.write_bytes(path.read_bytes()[:-5])
        with pytest.raises(TdaError, match=rf"Image .*{name} is truncated: its end marker is missing"):
            probe_image(path)
    with pytest.raises(TdaError, match=r"none.png is missing. Restore it"):
        probe_image(tmp_path / "none.png")
    for content in (b"", b"hello", b"\x89PNG\r\n\x1a\n"):
        (tmp_path / "b.png").write_bytes(content)
        with pytest.raises(TdaError, match=r"b.png cannot be read \(.*not an image\)"):
            probe_image(tmp_path / "b.png")


@pytest.mark.parametrize("length", [5, 2000, 70_000])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "progressive.jpg"])
def test_what_follows_an_image_s_end_is_passed_over(tmp_path, name, length):
    """Motion photos and cameras' notes; a thumbnail's end in a header is not the image's."""
    pixels = np.random.default_rng(2).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    options = {"progressive": True} if name.startswith("progressive") else {}
    path = save(tmp_path / name, pixels, **options)
    content, expected = path.read_bytes(), read_image(path, 200, 200)
    if name.endswith("jpg"):
        thumbnail = b"\xff\xe1" + struct.pack(">H", 8) + b"ab\xff\xd9cd"
        content = content[:2] + thumbnail + content[2:]
    trailer = np.random.default_rng(3).integers(0, 255, length, dtype=np.uint8).tobytes()  # without ff
    path.write_bytes(content + trailer)
    assert probe_image(path) == (200, 200) and torch.equal(read_image(path, 200, 200), expected)
    for kept in (0.5, 0.99):
        path.write_bytes(content[: int(kept * len(content))])
        with pytest.raises(TdaError, match=rf"{name} is truncated: its end marker is missing"):
            probe_image(path)


def raw_png(path, depth, colour, row, key, width):
    """Write a PNG of one row as it is stored, with a transparent colour."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0))
    body = chunk(b"tRNS", key) + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + body)
    return path


KEYED = {
    "1 bit": (1, 0, bytes([0b01000000]), ">H", [1], [0, 255], [255, 0]),
    "2 bits": (2, 0, bytes([0b01100000]), ">H", [2], [85, 255], [255, 0]),
    "4 bits": (4, 0, bytes([0x3A]), ">H", [10], [51, 255], [255, 0]),
    "8 bits": (8, 0, bytes([3, 10]), ">H", [10], [3, 255], [255, 0]),
    "16 bits": (16, 0, struct.pack(">HH", 30000, 30001), ">H", [30001], [117, 255], [255, 0]),
    "8-bit colours": (8, 2, bytes([1, 1, 1, 1, 1, 2]), ">HHH", [1, 1, 2], [1, 255], [255, 0]),
    "16-bit colours": (16, 2, struct.pack(">6H", 9, 9, 9, 9, 9, 8), ">HHH", [9, 9, 8], [0, 255], [255, 0]),
}


@pytest.mark.parametrize("name", KEYED)
def test_a_colour_that_a_header_calls_transparent_is_white_at_any_depth(tmp_path, name):
    depth, colour, row, form, key, red, alpha = KEYED[name]
    path = raw_png(tmp_path / "a.png", depth, colour, row, struct.pack(form, *key), 2)
    assert read_image(path, 2, 1)[0, :, 0].tolist() == red
    assert read_alpha(path).tolist() == [alpha]


def test_another_size_is_averaged_over_areas_with_premultiplied_alpha(tmp_path):
    pixels = np.zeros((6, 6, 4), np.uint8)
    pixels[..., 1] = 255  # what is transparent is green, and must not show
    pixels[:3, :2] = (200, 40, 0, 255)
    path = save(tmp_path / "a.png", pixels)
    image = read_image(path, 4, 4)
    assert image[0, 0].tolist() == [200, 40, 0] and image[3, 3].tolist() == [255, 255, 255]
    third = [255 + (value - 255) / 3 for value in (200, 40, 0)]  # a new pixel spans one and a half of the old
    assert np.abs(image[0, 1].numpy() - third).max() <= 0.51
    assert read_alpha(path, (4, 4))[:, 0].tolist() == [255, 255, 0, 0]
    larger = read_image(path, 12, 12)
    assert larger[0, 0].tolist() == [200, 40, 0] and larger[11, 11].tolist() == [255, 255, 255]


def test_colours_of_print_are_resampled_too(tmp_path):
    path = save(tmp_path / "a.jpg", Image.new("CMYK", (8, 8), (0, 255, 0, 0)))
    assert (read_image(path, 4, 4).int() - read_image(path, 8, 8)[:4, :4].int()).abs().max() <= 1


@pytest.mark.parametrize(
    ("size", "other", "same"),
    [
        ((1920, 1080), (480, 270), True),
        ((1015, 763), (253, 190), True),
        ((1015, 763), (254, 191), True),
        ((8, 8), (9, 8), False),
        ((1000, 500), (1004, 500), False),
        ((1000, 500), (500, 1000), False),
        ((100, 75), (100, 75), True),
    ],
)
def test_sizes_are_of_one_shape_but_for_rounding(size, other, same):
    assert same_shape(size, other) is same_shape(other, size) is same


def test_store_reads_lazily_and_once(tmp_path):
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for index in (0, 2):
        save(paths[index], np.full((6, 8, 3), index, np.uint8))
    store = ImageStore(paths, 8, 6)
    assert (len(store), store.bytes) == (3, 3 * 6 * 8 * 3)
    images = store.get([2, 0, 2])
    assert images.dtype == torch.uint8 and images[:, 0, 0, 0].tolist() == [2, 0, 2] and images.shape == (3, 6, 8, 3)
    images.zero_()  # a copy: the store does not change with it
    other = ImageStore(paths, 8, 6)
    assert other.get([0], keep=False).unique().tolist() == [0]
    save(paths[0], np.full((6, 8, 3), 7, np.uint8))
    assert other.get([0]).unique().tolist() == [7]
    assert store.get([0]).unique().tolist() == [0]
    paths[2].unlink()
    assert store.get([2])[0].unique().tolist() == [2]
    assert store.get([]).shape == (0, 6, 8, 3)
    with pytest.raises(TdaError, match=r"1.png is missing"):
        store.get([0, 1])


def test_store_gives_single_pixels_and_keeps_their_images(tmp_path):
    paths = [save(tmp_path / f"{name}.png", np.roll(PIXELS[..., :3], name, 0)) for name in range(3)]
    store = ImageStore(paths, 8, 6)
    chosen = torch.tensor([[0, 47, 11], [8, 8, 0]])
    pixels = store.at([2, 0], chosen)
    images = store.get([2, 0])
    assert pixels.dtype == torch.uint8 and pixels.shape == (2, 3, 3)
    assert torch.equal(pixels, torch.stack([images[row].view(-1, 3)[chosen[row]] for row in range(2)]))
    pixels.zero_()  # a copy: the store does not change with it
    paths[0].unlink()
    assert torch.equal(store.at([0], torch.tensor([[5]])), images[1].view(1, -1, 3)[:, [5]])
    paths[1].unlink()
    with pytest.raises(TdaError, match=r"1.png is missing"):
        store.at([0, 1], chosen)


def test_store_names_a_file_with_a_broken_body(tmp_path):
    path = save(tmp_path / "a.png", np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    content = bytearray(path.read_bytes())
    content[5000:9000] = bytes(4000)
    path.write_bytes(content)
    assert probe_image(path) == (64, 64)
    with pytest.raises(TdaError, match=r"a.png cannot be decoded \(.+\). Copy or render it again"):
        ImageStore([path], 64, 64).get([0])


def test_every_flipped_byte_of_the_body_is_found(tmp_path):
    path = save(tmp_path / "a.png", PIXELS)
    content = path.read_bytes()
    for position in range(content.index(b"IDAT"), content.index(b"IEND") - 4, 7):
        path.write_bytes(content[:position] + bytes([content[position] ^ 16]) + content[position + 1 :])
        with pytest.raises(TdaError, match="a.png cannot be decoded"):
            read_image(path, 8, 6)


def test_image_data_that_ends_early_is_refused(tmp_path):
    path = save(tmp_path / "a.png", np.zeros((6, 8, 3), np.uint8))
    content = path.read_bytes()
    start = content.index(b"IDAT")
    body = zlib.compress(bytes(6))
    chunk = b"IDAT" + body
    data = len(body).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    path.write_bytes(content[: start - 4] + data + content[content.index(b"IEND") - 4 :])
    with pytest.raises(TdaError, match=r"a.png cannot be decoded"):
        read_image(path, 8, 6)


def test_what_can_never_be_read_is_refused_by_its_header(tmp_path, monkeypatch):
    for mode, why in (("F", "it holds floating point numbers"), ("LAB", "its colours are in CIELAB")):
        Image.new(mode, (8, 6)).save(tmp_path / "a.tif")
        with pytest.raises(TdaError, match=rf"Image .*a.tif cannot be read \({why}\). Write it again as PNG or JPEG"):
            probe_image(tmp_path / "a.tif")
        with pytest.raises(TdaError, match=rf"a.tif cannot be decoded \({why}\)"):
            read_image(tmp_path / "a.tif", 8, 6)
    Image.new("F", (8, 6)).save(tmp_path / "mask.tif")
    assert probe_image(tmp_path / "mask.tif", "Mask") == (8, 6)  # what is not 0 is kept, whatever it is
    path = save(tmp_path / "a.png", PIXELS)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24)
    assert probe_image(path) == (8, 6)  # 48 pixels: PIL's limit is twice as many
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 23)
    with pytest.raises(TdaError, match=r"Image .*a.png cannot be read \(Image size \(48 pixels\) exceeds limit of 46"):
        probe_image(path)


def test_another_size_is_refused(tmp_path):
    path = save(tmp_path / "a.png", PIXELS)
    with pytest.raises(TdaError, match=r"a.png is 8 x 6, expected 6 x 8"):
        read_image(path, 6, 8)
