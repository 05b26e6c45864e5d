"""Files of learnt scenes: what is read is what was written; what is damaged is refused by name."""

from __future__ import annotations

import json

import pytest
import torch

from tda_nerfstudio.core.errors import StoreError
from tda_nerfstudio.core.scenes import TriPlaneConfig
from tda_nerfstudio.store.precision import PRECISIONS, pack, unpack
from tda_nerfstudio.store.scene_files import LearntScene, Record, SceneFile, write_scenes

SIZES = TriPlaneConfig(resolution=6, micro_channels=3, macro_channels=2, bases=4, hidden=5, grid=3)


def learnt(name: str, seed: int = 0) -> LearntScene:
    generator = torch.Generator().manual_seed(seed)
    micro = torch.randn(3, 6, 6, 3, generator=generator) * torch.tensor([1.0, 10.0, 0.01])
    occupied = torch.rand(3, 3, 3, generator=generator) < 0.5
    return LearntScene(
        Record(name, {"psnr": 20.5}, {"seed": seed}), micro, torch.randn(4, generator=generator), occupied
    )


@pytest.mark.parametrize(("precision", "error"), [("fp32", 0.0), ("fp16", 2**-11), ("int8", 0.5 / 127)])
def test_micro_planes_are_rounded_no_more_than_their_precision_says(precision, error):
    micro = torch.stack([learnt("a", 1).micro, learnt("b", 2).micro])
    largest = micro.abs().amax((2, 3), keepdim=True)
    assert ((unpack(pack(micro, precision)) - micro).abs() <= largest * error * 1.0001).all()
    zero = torch.zeros(1, 3, 6, 6, 3)
    assert torch.equal(unpack(pack(zero, precision)), zero)


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
        assert torch.equal(found.micro, unpack(pack(scene.micro[None], precision))[0])
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
        StoreError, match=r"Scene 'van' in .* micro is I8 \[1, 3, 6, 6, 3\], not I8 \[3, 8, 8, 3\] a scene"
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
