from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from tda_nerfstudio.atlas.images import ImageStore, probe_image, read_alpha, read_image
from tda_nerfstudio.core.errors import TdaError

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


def test_another_size_is_refused(tmp_path):
    path = save(tmp_path / "a.png", PIXELS)
    with pytest.raises(TdaError, match=r"a.png is 8 x 6, expected 6 x 8"):
        read_image(path, 6, 8)
