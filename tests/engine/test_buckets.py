"""Atlas and store in a bucket of an S3 server on this machine, read and written by the commands."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from short_plans import WORDS

from tda_nerfstudio.atlas.inventory import Inventory
from tda_nerfstudio.base.atomic import create_file, require_writable
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.places import bytes_in, is_remote, place
from tda_nerfstudio.looking.gallery.options import Options
from tda_nerfstudio.looking.gallery.write_gallery import write_gallery
from tda_nerfstudio.store.store import Store


@pytest.fixture
def put(bucket: str, request) -> str:
    """Put the tiny atlas and a store without scenes into a folder of the bucket."""
    folder = f"{bucket}/{request.node.name}"
    fs = place(folder).fs  # type: ignore[attr-defined]
    for name, fixture in (("tiny", "tiny_atlas"), ("store", "empty_store")):
        fs.put(f"{request.getfixturevalue(fixture)}/", f"{folder}/{name}/", recursive=True)
    return folder


def test_both_in_a_bucket_give_the_bits_of_folders(put: str, command, learnt: Store) -> None:
    result = command("tda", "learn", "--data", f"{put}/tiny", "--store", f"{put}/store", *WORDS)
    assert result.code == 0, result.text
    found = Store(f"{put}/store")
    assert found.names == learnt.names and not found.verify() and len(found.files) == 3
    for name in found:
        assert torch.equal(found[name].learnt.micro, learnt[name].learnt.micro), name
        assert found.record(name).metrics == learnt.record(name).metrics
    assert found["vehicle_0001"].render(found.orbit(1), 16, 16).shape == (1, 3, 16, 16)
    result = command("tda", "store", "verify", f"{put}/store")
    assert result.code == 0 and "6 scenes in 3 files: every byte is as it was written." in result.text
    result = command("tda", "learn", "--data", f"{put}/tiny", "--store", f"{put}/store")
    assert result.code == 0 and f"{put}/store holds 6 scenes, and lacks none of {put}/tiny" in result.flat


def test_a_store_in_a_bucket_does_all_that_a_folder_does(put: str, learnt: Store) -> None:
    store = Store(f"{put}/store")
    store.take(learnt, learnt.names[:3])
    store.put_aside("cab", "its images are damaged", {})
    again = Store(f"{put}/store")
    assert again.names == learnt.names[:3] and again.aside() == {"cab": "its images are damaged"}
    again.remove(again.names[0])
    again.prune()
    assert Store(f"{put}/store").names == learnt.names[1:3]
    assert again.size() == bytes_in(place(f"{put}/store")) > 10_000


def test_a_store_in_a_bucket_has_a_gallery_here(put: str, learnt: Store, tmp_path: Path) -> None:
    Store(f"{put}/store").take(learnt, learnt.names[:2])
    written = write_gallery(Store(f"{put}/store"), tmp_path / "out", None, Options(frames=2, views=1))
    assert (written.scenes, written.rendered) == (2, 2)
    assert learnt.names[0] in (tmp_path / "out/scenes.js").read_text()


def test_a_file_that_is_damaged_there_is_found(put: str, learnt: Store) -> None:
    store = Store(f"{put}/store")
    store.take(learnt, learnt.names)
    path = store.file(learnt.names[0]).path
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))
    assert [path.name in str(error) for error in Store(f"{put}/store").verify()] == [True]


def test_fingerprints_are_those_of_a_folder_and_scenes_come_near(put: str, tiny_atlas: Path, tmp_path: Path) -> None:
    there, here = Inventory(place(f"{put}/tiny")), Inventory(tiny_atlas)
    names = list(here.folders)
    assert list(there.folders) == names and there.prints(names) == here.prints(names)
    some = Inventory(place(f"{put}/tiny"), [names[1], "none"])
    assert list(some.folders) == [names[1]] and some.prints(["none"]) == {"none": ""}
    near = there.stage(names[1:2], tmp_path)
    assert [path.name for path in near.iterdir()] == names[1:2] and near.name == "tiny"
    shutil.rmtree(near)


def test_of_two_that_create_a_file_one_wins(bucket: str, tmp_path: Path) -> None:
    for folder in (place(f"{bucket}/once"), tmp_path):
        assert create_file(folder / "a", b"1") and not create_file(folder / "a", b"2")
        assert (folder / "a").read_bytes() == b"1"


def test_a_bucket_that_is_not_there_or_has_no_scenes_is_said(bucket: str, command, tiny_atlas: Path) -> None:
    for given in ("s3://no-such-bucket/store", f"{bucket}/empty"):
        result = command("tda", "store", "info", given)
        assert result.code == 1 and given in result.flat and "Traceback" not in result.text, result.text
    with pytest.raises(TdaError, match="s3://no-such-bucket/store cannot be used .* Look at the bucket's name"):
        require_writable(place("s3://no-such-bucket/store"))
    with pytest.raises(TdaError, match=f"{bucket}/empty holds no scene"):
        Inventory(place(f"{bucket}/empty"))


def test_a_server_that_does_not_answer_is_said(command, tiny_atlas: Path) -> None:
    env = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    result = command("tda", "learn", "--data", tiny_atlas, "--store", "s3://inventory/store", **env)
    assert result.code == 1 and "s3://inventory/store" in result.flat and "cannot be used" in result.flat, result.text
    assert "Traceback" not in result.text


def test_other_addresses_and_missing_packages_are_said(monkeypatch) -> None:
    assert place("~/x") == Path.home() / "x" and place("file:///x") == Path("/x") and not is_remote(place("/x"))
    with pytest.raises(TdaError, match="ftp://x is of a kind that is not known. Give a folder, or s3://"):
        place("ftp://x")
    monkeypatch.setitem(__import__("sys").modules, "upath", None)
    with pytest.raises(TdaError, match=r"pip install 'tda-nerfstudio\[gcs\]'"):
        place("gs://x/y")
    assert os.sep not in place("x").name


def test_keys_that_lead_elsewhere_are_no_files_of_a_scene(put: str, tmp_path: Path) -> None:
    root = place(f"{put}/tiny")
    evil = [f"vehicle_0000//{tmp_path}/x", "vehicle_0000/a/../../../x", "vehicle_0000/..\\x", "vehicle_0000/C:/x"]
    before = Inventory(root).prints(["vehicle_0000"])
    for key in evil:
        root.fs.pipe_file(f"{root.path}/{key}", b"evil")  # type: ignore[attr-defined]
    assert (
        Inventory(root).prints(["vehicle_0000"]) == Inventory(root, ["vehicle_0000"]).prints(["vehicle_0000"]) == before
    )
    Inventory(root).stage(["vehicle_0000"], tmp_path / "scratch")
    assert not (tmp_path / "x").exists() and not list(tmp_path.rglob("*\\*"))
