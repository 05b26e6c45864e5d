"""Latents are encoded once, found again, and never those of other images or of another autoencoder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from tda_nerfstudio.atlas import latent_cache
from tda_nerfstudio.atlas.atlas import Atlas, read_atlas
from tda_nerfstudio.atlas.images import read_image
from tda_nerfstudio.atlas.latent_cache import LatentCache
from tda_nerfstudio.base.errors import TdaError

VIEWS = 4  # of six a scene; two are held out


class Encoder:
    """Encode 8 x 8 images to latents of 2 x 2, and note what is asked for."""

    def __init__(self, atlas: Atlas, scale: float = 1.0) -> None:
        self.paths = [path for scene in atlas.scenes for path in scene.train.paths]
        self.scale, self.asked = scale, []

    def __call__(self, index: torch.Tensor) -> torch.Tensor:
        self.asked.append(index.tolist())
        images = torch.stack([read_image(self.paths[view], 8, 8) for view in index.tolist()]).permute(0, 3, 1, 2)
        return self.scale * torch.nn.functional.avg_pool2d(images.float() / 255, 4)


@pytest.fixture
def root(scene_at: Callable, tmp_path: Path) -> Path:
    """Write an atlas of three scenes."""
    for i, name in enumerate("abc"):
        scene_at(tmp_path / "cars" / name, "blender", held_out=2, low=-0.3 + 0.05 * i)
    return tmp_path / "cars"


@pytest.fixture
def opened(root: Path, tmp_path: Path) -> Callable:
    """Give tests `opened(key, root, **selection)`: the latents of all views, which were encoded, and what was said."""

    def open_cache(key: str = "ae", root: Path = root, folder: Path | None = tmp_path / "latents", **selection):
        atlas = read_atlas(root, **selection)
        encoder, said = Encoder(atlas), []
        cache = LatentCache(atlas, encoder, key, folder, said.append)
        return cache[torch.arange(len(encoder.paths))], encoder.asked, said

    return open_cache


def file_of(tmp_path: Path, scene: str, key: str = "ae") -> Path:
    (path,) = tmp_path.glob(f"latents/cars-*/{key}/{scene}.safetensors")
    return path


def test_every_view_is_encoded_once_and_found_by_the_next_run(opened: Callable, root: Path) -> None:
    encoder = Encoder(read_atlas(root))
    expected = encoder(torch.arange(3 * VIEWS)).half().float()
    assert len(expected.unique()) > 20
    first, asked, said = opened()
    assert torch.equal(first, expected)
    assert asked == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    again, asked, more = opened()
    assert torch.equal(again, expected)
    assert asked == said == more == []


def test_in_memory_the_bits_are_the_same_and_nothing_is_kept(opened: Callable, tmp_path: Path) -> None:
    kept = opened()[0]
    before = sorted(tmp_path.rglob("*"))
    for _ in range(2):
        in_memory, asked, said = opened(folder=None)
        assert torch.equal(in_memory, kept)
        assert (len(asked), said) == (3, [])
    assert sorted(tmp_path.rglob("*")) == before


def test_rows_come_in_any_order_as_float32(root: Path) -> None:
    atlas = read_atlas(root)
    cache = LatentCache(atlas, Encoder(atlas), "ae", None, print)
    every = cache[torch.arange(3 * VIEWS)]
    rows = cache[torch.tensor([11, 0, 4, 0])]
    assert rows.dtype == torch.float32
    assert torch.equal(rows, every[[11, 0, 4, 0]])


def test_scenes_are_encoded_in_batches_of_their_own(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent_cache, "ENCODE_BATCH", 3)
    atlas = read_atlas(root)
    encoder = Encoder(atlas)
    LatentCache(atlas, encoder, "ae", None, print)
    assert encoder.asked == [[0, 1, 2], [3], [4, 5, 6], [7], [8, 9, 10], [11]]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks at mapped files in Linux' /proc")
def test_a_scene_is_one_mapped_float16_array_that_holds_no_file_open(root: Path, tmp_path: Path) -> None:
    atlas = read_atlas(root)
    before = len(list(Path("/proc/self/fd").iterdir()))
    cache = LatentCache(atlas, Encoder(atlas), "ae", tmp_path / "latents", print)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert all(
        latents.dtype == torch.float16 and latents.shape == (VIEWS, 3, 2, 2) for latents in cache._scenes.values()
    )
    assert Path("/proc/self/maps").read_text().count(str(tmp_path / "latents")) >= 3
    assert {path.name for path in tmp_path.glob("latents/*/ae/*")} == {f"{name}.safetensors" for name in "abc"}


def test_another_autoencoder_never_sees_these_latents(opened: Callable, tmp_path: Path) -> None:
    opened()
    assert len(opened("other")[1]) == 3
    shutil.copy(file_of(tmp_path, "a"), file_of(tmp_path, "a", "other"))
    assert opened("other")[1] == [[0, 1, 2, 3]]
    assert opened()[1] == opened("other")[1] == []


def test_a_changed_image_makes_its_scene_anew(opened: Callable, root: Path) -> None:
    before = opened()[0]
    path = root / "b/rgb/000002.png"
    Image.new("RGB", (8, 8), (200, 100, 0)).save(path)
    after, asked, _ = opened()
    assert asked == [[4, 5, 6, 7]]
    assert (after != before).flatten(1).any(1).nonzero().flatten().tolist() == [6]
    assert after[6, :, 0, 0].tolist() == torch.tensor([200 / 255, 100 / 255, 0]).half().tolist()
    assert opened()[1] == []


def test_what_is_done_to_images_before_counts_as_well(opened: Callable, root: Path) -> None:
    opened()
    file = root / "b/transforms_train.json"
    plain, mask = json.loads(file.read_text()), root / "b/mask.png"

    def asked(level: int, **camera: object) -> list:
        Image.new("L", (8, 8), level).save(mask)
        file.write_text(json.dumps(plain | camera))
        return opened()[1]

    anew = [[4, 5, 6, 7]]
    assert asked(0, mask_path="mask.png") == anew
    assert asked(0, mask_path="mask.png") == []
    assert asked(1, mask_path="mask.png") == anew
    assert asked(1, k1=0.1) == anew
    assert asked(1, k1=0.2) == anew


def test_latents_of_another_size_are_others(root: Path, tmp_path: Path) -> None:
    atlas = read_atlas(root)
    for size, scenes in ((8, 3), (8, 0), (16, 3), (8, 3)):
        encoder = Encoder(atlas)
        LatentCache(replace(atlas, width=size, height=size), encoder, "ae", tmp_path / "latents", print)
        assert len(encoder.asked) == scenes


def test_a_change_that_keeps_size_and_time_of_modification_is_seen(opened: Callable, root: Path) -> None:
    paths = [root / f"b/rgb/00000{i}.bmp" for i in range(2)]
    for file in (root / "b").glob("*.json"):
        file.write_text(file.read_text().replace("0.png", "0.bmp").replace("1.png", "1.bmp"))
    for i, path in enumerate(paths):
        Image.new("RGB", (8, 8), (100 * i, 0, 0)).save(path)
        os.utime(path, (1000, 1000))
    assert opened()[0][4:6, 0, 0, 0].tolist() == torch.tensor([0, 100 / 255]).half().tolist()
    for path, other in (paths, paths[::-1]):
        path.rename(other.with_suffix(".swap"))
    for path in paths:
        path.with_suffix(".swap").rename(path)
    after, asked, _ = opened()
    assert asked == [[4, 5, 6, 7]]
    assert after[4:6, 0, 0, 0].tolist() == torch.tensor([100 / 255, 0]).half().tolist()


def test_touched_images_are_read_once_but_not_encoded(opened: Callable, root: Path, monkeypatch) -> None:
    expected = opened()[0]
    hashed: list[str] = []
    plain = latent_cache._hash
    monkeypatch.setattr(latent_cache, "_hash", lambda path: (hashed.append(path.name), plain(path))[1])
    for view in (1, 2):
        os.utime(root / f"a/rgb/00000{view}.png", (5, 5))
    for seen in (["000001.png", "000002.png"], []):
        latents, asked, _ = opened()
        assert torch.equal(latents, expected)
        assert (hashed, asked) == (seen, [])
        hashed.clear()


def test_other_training_views_are_other_rows(opened: Callable) -> None:
    before = opened()[0]
    latents, asked, _ = opened(test_views=("rgb/000000.png", "rgb/000005.png"))
    assert asked == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert torch.equal(latents[[0, 1, 2]], before[[1, 2, 3]])
    assert torch.equal(opened()[0], before)


def test_a_selection_of_scenes_shares_what_all_of_them_have(opened: Callable) -> None:
    opened(scenes=("c", "a"))
    latents, asked, _ = opened()
    assert asked == [[4, 5, 6, 7]]
    assert torch.equal(opened(scenes=("b",))[0], latents[4:8])


def test_atlases_of_one_name_do_not_share(opened: Callable, root: Path, tmp_path: Path) -> None:
    opened()
    shutil.copytree(root, tmp_path / "elsewhere/cars")
    assert len(opened(root=tmp_path / "elsewhere/cars")[1]) == 3
    assert opened()[1] == []
    assert len(list(tmp_path.glob("latents/cars-*"))) == 2


def test_any_wrong_byte_makes_a_scene_anew(opened: Callable, tmp_path: Path) -> None:
    expected = opened()[0]
    path = file_of(tmp_path, "a")
    whole = path.read_bytes()
    assert latent_cache._read(path) is not None
    for position in range(0, len(whole), 5):
        mask = (1, 0x0F, 0x80)[position % 3]
        path.write_bytes(whole[:position] + bytes([whole[position] ^ mask]) + whole[position + 1 :])
        assert latent_cache._read(path) is None, (position, mask)
    for damage in (b"", whole[:7], whole[:-1], whole + b"x", b"hello"):
        path.write_bytes(damage)
        latents, asked, said = opened()
        assert torch.equal(latents, expected)
        assert (asked, said) == ([[0, 1, 2, 3]], [])
        assert opened()[1] == []


@pytest.mark.parametrize("what", ["a file in its place", "a full disk"])
def test_a_folder_that_cannot_be_written_is_named_once_and_done_without(
    opened: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    expected = opened(folder=None)[0]
    if what == "a full disk":

        def full(path: Path, write: Callable) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(latent_cache, "replace_file", full)
        reason = "No space left on device"
    else:
        (tmp_path / "latents").write_text("not a folder")
        reason = "Not a directory"
    for _ in range(2):
        latents, asked, (said,) = opened()
        assert torch.equal(latents, expected)
        assert len(asked) == 3
        assert said.startswith(f"Latents cannot be kept in {tmp_path}/latents/cars-")
        assert f"/ae ({reason}): this run holds them in memory, and the next one encodes again." in said


def test_a_disk_that_fills_up_leaves_whole_files_alone(opened: Callable, tmp_path: Path, monkeypatch) -> None:
    plain = latent_cache.replace_file

    def fill(path: Path, write: Callable) -> None:
        def half(file) -> None:
            write(file)
            raise OSError(28, "No space left on device")

        plain(path, half if path.stem == "b" else write)

    monkeypatch.setattr(latent_cache, "replace_file", fill)
    assert len(opened()[2]) == 1
    assert [path.name for path in tmp_path.glob("latents/*/ae/*")] == ["a.safetensors"]
    monkeypatch.undo()
    assert opened()[1:] == ([[4, 5, 6, 7], [8, 9, 10, 11]], [])


def test_an_interruption_keeps_finished_scenes(opened: Callable, tmp_path: Path, monkeypatch) -> None:
    plain = Encoder.__call__

    def interrupt(self: Encoder, index: torch.Tensor) -> torch.Tensor:
        if len(self.asked) == 2:
            raise KeyboardInterrupt
        return plain(self, index)

    monkeypatch.setattr(Encoder, "__call__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        opened(folder=None)
    with pytest.raises(TdaError, match=r"interrupted. 2 of 3 scenes are encoded and stay in .*/latents/cars-\w{8}/ae:"):
        opened()
    monkeypatch.undo()
    assert opened()[1] == [[8, 9, 10, 11]]


def test_another_process_that_replaces_a_file_changes_no_row_in_use(root: Path, tmp_path: Path) -> None:
    atlas = read_atlas(root)
    cache = LatentCache(atlas, Encoder(atlas), "ae", tmp_path / "latents", print)
    before = cache[torch.arange(3 * VIEWS)]
    other = read_atlas(root, test_views=("rgb/000000.png",))
    assert len(other.scenes[0].train) == 5
    LatentCache(other, Encoder(other), "ae", tmp_path / "latents", print)
    assert torch.equal(cache[torch.arange(3 * VIEWS)], before)


def test_a_file_that_another_process_put_there_meanwhile_is_not_taken_for_ones_own(
    opened: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(test_views=("rgb/000000.png", "rgb/000005.png"))
    others = {name: file_of(tmp_path, name).read_bytes() for name in "abc"}
    expected = opened(folder=None)[0]

    def beaten(path: Path, write: Callable) -> None:
        path.write_bytes(others[path.stem])

    monkeypatch.setattr(latent_cache, "replace_file", beaten)
    assert torch.equal(opened()[0], expected)
