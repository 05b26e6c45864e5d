"""Files of learnt scenes: what is read is what was written; what is damaged is refused by name."""

from __future__ import annotations

import json
import tracemalloc
import zlib
from base64 import b64encode
from dataclasses import replace

import pytest
import torch

from tda_nerfstudio.base.errors import StoreError
from tda_nerfstudio.core.scenes import TriPlaneConfig
from tda_nerfstudio.store import scene_files
from tda_nerfstudio.store.learnt_scene import LearntScene, PackedScenes, Record
from tda_nerfstudio.store.precision import PRECISIONS, pack, unpack
from tda_nerfstudio.store.scene_files import SceneFile, write_packed, write_scenes

SIZES = TriPlaneConfig(resolution=6, micro_channels=3, macro_channels=2, bases=4, hidden=5, grid=3)


def learnt(name: str, seed: int = 0) -> LearntScene:
    generator = torch.Generator().manual_seed(seed)
    micro = torch.randn(3, 6, 6, 3, generator=generator) * torch.tensor([1.0, 10.0, 0.01])
    occupied = torch.rand(3, 3, 3, generator=generator) < 0.5
    return LearntScene(
        Record(name, {"psnr": 20.5}, {"seed": seed}), micro, torch.randn(4, generator=generator), occupied
    )


@pytest.mark.parametrize(
    ("precision", "error"), [("fp32", 0.0), ("fp16", 2**-11), ("int8", 0.5 / 127), ("int4", 0.5 / 7)]
)
def test_micro_planes_are_rounded_no_more_than_their_precision_says(precision, error):
    micro = torch.stack([learnt("a", 1).micro, learnt("b", 2).micro])
    largest = micro.abs().amax((2, 3), keepdim=True)
    assert ((unpack(pack(micro, precision), 6) - micro).abs() <= largest * error * 1.0001).all()
    zero = torch.zeros(1, 3, 6, 6, 3)
    assert torch.equal(unpack(pack(zero, precision), 6), zero)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_read_is_what_was_written(tmp_path, precision):
    scenes = [learnt("van", 1), learnt("bus #2 ü", 2)]
    path = write_scenes(tmp_path, "abc", scenes, precision)
    file = SceneFile(path, "abc", SIZES)
    assert [record.name for record in file.records] == ["van", "bus #2 ü"]
    for scene in scenes:
        found = file.load(scene.record.name)
        assert found.record == scene.record and torch.equal(found.occupied, scene.occupied)
        assert torch.equal(found.weights, scene.weights.half().float())
        assert torch.equal(found.micro, unpack(pack(scene.micro[None], precision), 6)[0])
    file.check()


def test_names_that_could_leave_the_folder_are_refused(tmp_path):
    for name in ("../up", "a/b", "a\\b", ".hidden", "", "x" * 201, "line\nbreak", "c:"):
        with pytest.raises(StoreError, match="could not be a file's name"):
            write_scenes(tmp_path, "abc", [learnt(name)])
    assert not list(tmp_path.iterdir())


def test_scenes_of_other_shared_parts_are_refused_with_both_hashes(tmp_path):
    path = write_scenes(tmp_path, "abc", [learnt("van")])
    with pytest.raises(StoreError, match="shared parts abc, and this store .manifest.json. has xyz"):
        SceneFile(path, "xyz", SIZES)


def test_a_changed_byte_is_found_wherever_it_is(tmp_path):
    path = write_scenes(tmp_path, "abc", [learnt("van")])
    content = path.read_bytes()
    for at in (len(content) - 1, len(content) // 2, 300):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(StoreError, match=f"{path.name}"):
            SceneFile(path, "abc", SIZES).load("van")


def test_other_sizes_than_the_stores_are_refused(tmp_path):
    path = write_scenes(tmp_path, "abc", [learnt("van")])
    larger = TriPlaneConfig(resolution=8, micro_channels=3, macro_channels=2, bases=4, grid=3)
    with pytest.raises(
        StoreError, match=r"Scene 'van' in .* micro is U8 \[1, 3, 6, 3, 3\], not U8 \[3, 8, 4, 3\] a scene"
    ):
        SceneFile(path, "abc", larger).load("van")


def test_a_header_that_claims_to_be_huge_is_refused_without_reading_it(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes((1 << 60).to_bytes(8, "little") + b"{}")
    with pytest.raises(StoreError, match="its header has 1152921504606846976 bytes"):
        SceneFile(path, "abc", SIZES)


def test_no_pickle_is_in_it(tmp_path):
    content = write_scenes(tmp_path, "abc", [learnt("van")]).read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert header.keys() == {"__metadata__", "micro", "scale", "weights", "occupied"}
    assert 8 + length + max(h["data_offsets"][1] for n, h in header.items() if n != "__metadata__") == len(content)


def test_int4_keeps_the_odd_last_cell_of_a_row():
    micro = torch.randn(2, 3, 5, 5, 2, generator=torch.Generator().manual_seed(0))
    packed = pack(micro, "int4")
    assert packed["micro"].shape == (2, 3, 5, 3, 2) and packed["micro"].dtype == torch.uint8
    found = unpack(packed, 5)
    steps = packed["scale"][:, :, None, None]
    torch.testing.assert_close(found, (micro / steps).round() * steps)


def test_scenes_without_micro_planes_are_a_few_bytes_each(tmp_path):
    sizes = TriPlaneConfig(resolution=8, micro_channels=0, macro_channels=2, bases=50, grid=32)
    seed = torch.Generator().manual_seed(0)
    about = {"data": "atlas", "seed": 0, "run": "2026-01-01_000000"}
    scenes = []
    for i in range(64):
        score, ssim, *rest = torch.rand(4, generator=seed).tolist()
        scores = {"psnr": 20 + 9 * score, "ssim": ssim, "sharpness": rest[0], "ceiling_psnr": 30 + rest[1]}
        record = Record(f"vehicle_{i:04d}", {key: round(value, 4) for key, value in scores.items()}, about)
        scenes.append(LearntScene(record, torch.zeros(3, 8, 8, 0), torch.randn(50, generator=seed)))
    file = SceneFile(write_scenes(tmp_path, "abc", scenes), "abc", sizes)
    assert file.path.stat().st_size / 64 < 200
    found = file.load("vehicle_0007")
    assert found.occupied is None and torch.equal(found.weights, scenes[7].weights.half().float())


def test_files_with_plain_metadata_are_read_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(scene_files, "_squeezed", json.dumps)
    path = write_scenes(tmp_path, "abc", [learnt("van", 1)])
    assert b'\\"format\\": \\"tda scenes 1\\"' in path.read_bytes()
    monkeypatch.undo()
    found = SceneFile(path, "abc", SIZES).load("van")
    assert found.record == learnt("van", 1).record and torch.equal(found.occupied, learnt("van", 1).occupied)


def test_metadata_that_swell_are_refused_in_little_memory(tmp_path):
    bomb = b64encode(zlib.compress(b"[" * (200 << 20), 9)).decode()
    header = json.dumps({"__metadata__": {"tda": bomb}}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    tracemalloc.start()
    with pytest.raises(StoreError, match="a.safetensors cannot be read"):
        SceneFile(path, "abc", SIZES)
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("unknown", [["b"], ["a", "b"]])
def test_scenes_with_micro_planes_must_say_where_they_are_empty(tmp_path, unknown):
    scenes = [replace(learnt(name), occupied=None) if name in unknown else learnt(name) for name in "ab"]
    with pytest.raises(
        StoreError, match=f"Scene '{unknown[0]}' has micro planes and does not say.*nothing was written"
    ):
        write_scenes(tmp_path, "abc", scenes)
    assert not list(tmp_path.iterdir())


def test_scenes_without_micro_planes_come_without_whether_they_say_it_or_not(tmp_path):
    sizes = replace(SIZES, micro_channels=0)
    scenes = [replace(learnt(name), micro=torch.zeros(3, 6, 6, 0)) for name in "ab"]
    file = SceneFile(write_scenes(tmp_path, "abc", [replace(scenes[0], occupied=None), scenes[1]]), "abc", sizes)
    assert [file.load(name).occupied for name in "ab"] == [None, None]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_scenes_move_from_file_to_file_without_a_bit_changed(tmp_path, precision):
    first = SceneFile(write_scenes(tmp_path, "abc", [learnt("a", 1), learnt("b", 2)], precision), "abc", SIZES)
    second = SceneFile(write_scenes(tmp_path, "abc", [learnt("c", 3)], precision), "abc", SIZES)
    moved = PackedScenes.join([first.packed(["b"]), second.packed(["c"])])
    file = SceneFile(write_packed(tmp_path, "abc", moved), "abc", SIZES)
    assert file.names == ["b", "c"] and file.precision == precision
    for name, source in (("b", first), ("c", second)):
        found, wanted = file.load(name), source.load(name)
        assert found.record == wanted.record and torch.equal(found.micro, wanted.micro)
        assert torch.equal(found.weights, wanted.weights) and torch.equal(found.occupied, wanted.occupied)
