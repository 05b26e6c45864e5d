"""Stores that are written while something goes wrong: kills, full disks, two writers."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tda_nerfstudio.base.errors import StoreError
from tda_nerfstudio.store.learnt_scene import LearntScene, Record
from tda_nerfstudio.store.store import Store

KILLS = 200


def child(work) -> int:
    """Run something in a forked process, forever, and give its number."""
    number = os.fork()
    if number:
        return number
    try:
        torch.set_num_threads(1)
        while True:
            work()
    except BaseException:
        os._exit(3)


def end(number: int) -> None:
    """Kill a process that is still at work."""
    os.kill(number, signal.SIGKILL)
    _, status = os.waitpid(number, 0)
    assert os.WIFSIGNALED(status)


def test_a_store_is_whole_after_every_one_of_200_kills(store: Store, learnt: list[LearntScene]) -> None:
    """Kill a writer at random moments; what was added before stays to the byte, and whatever is there is whole."""
    first = {path.name: path.read_bytes() for path in (store.folder / "scenes").iterdir()}
    chance, written = random.Random(0), 0

    def work() -> None:
        opened = Store(store.folder)
        again = [replace(scene, record=Record("new", {"psnr": time.time()})) for scene in learnt[:1]]
        opened.add(again, "fp32")
        opened.prune()

    started, number = time.perf_counter(), child(work)
    while "new" not in Store(store.folder):
        assert time.perf_counter() - started < 60
    longest = 2 * (time.perf_counter() - started)  # a busy machine needs longer until a writer has begun
    end(number)
    Store(store.folder).remove("new")
    for _ in range(KILLS):
        number = child(work)
        time.sleep(chance.uniform(0, longest))
        end(number)
        opened = Store(store.folder)
        assert not opened.verify()
        assert sorted(set(opened) - {"new"}) == ["bus", "cab", "van"]
        written += "new" in opened
        if "new" in opened:
            assert torch.equal(opened["new"].learnt.micro, learnt[0].micro)
    assert written > KILLS / 2
    for name, content in first.items():
        assert (store.folder / "scenes" / name).read_bytes() == content


def test_two_writers_of_one_scene_leave_one_whole_scene(store: Store, learnt: list[LearntScene]) -> None:
    def writer(value: float):
        def work() -> None:
            scene = replace(learnt[0], record=Record("both"), weights=torch.full_like(learnt[0].weights, value))
            opened = Store(store.folder)
            opened.add([scene])
            opened.prune()

        return work

    numbers = [child(writer(value)) for value in (1.0, 2.0)]
    for _ in range(20):
        time.sleep(0.05)
        opened = Store(store.folder)
        if "both" in opened:
            try:
                found = opened["both"].learnt.weights
            except StoreError:
                continue  # replaced since the folder was listed: whoever opens the store again finds the new one
            assert found.unique().tolist() in ([1.0], [2.0])
    for number in numbers:
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
    opened = Store(store.folder)
    assert not opened.verify()
    assert opened["both"].learnt.weights.unique().tolist() in ([1.0], [2.0])


@pytest.fixture
def small_disk(tmp_path: Path):
    """Mount half a MiB, where that is allowed."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)], capture_output=True)
    if done.returncode:
        pytest.skip("a small disk needs the right to mount one")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_keeps_what_was_there_and_says_how_much_is_missing(store, parts, learnt, small_disk) -> None:
    from tda_nerfstudio.store.shared_parts import write_shared_parts

    write_shared_parts(small_disk, parts, store.manifest.camera, {})
    little = Store(small_disk)
    little.add(learnt)
    many = [replace(scene, record=Record(f"{i}")) for i, scene in enumerate(learnt * 600)]
    with pytest.raises(
        StoreError, match=r"There is no room in .*small/scenes: \d+\.\d MiB more are needed \("
    ) as caught:
        little.add(many, "fp32")
    assert "What was there is untouched. Make room and run the same command again." in str(caught.value)
    again = Store(small_disk)
    assert sorted(again) == ["bus", "cab", "van"] and not again.verify()
    assert not list((small_disk / "scenes").glob(".*"))  # nor is a part of the new file left


def test_a_disk_that_is_full_from_the_start_makes_no_store(store, parts, small_disk) -> None:
    from tda_nerfstudio.store.shared_parts import write_shared_parts

    (small_disk / "rest").write_bytes(b"x" * (480 << 10))
    with pytest.raises(StoreError, match="There is no room in"):
        write_shared_parts(small_disk, parts, store.manifest.camera, {})
    with pytest.raises(StoreError):
        Store(small_disk)


def test_notes_of_scenes_put_aside_go_when_they_are_added(store: Store, learnt: list[LearntScene]) -> None:
    store.put_aside("lorry", "It diverged.", {"seed": 3})
    assert Store(store.folder).aside() == {"lorry": "It diverged."}
    store.add([replace(learnt[0], record=Record("lorry", finished=False))])
    assert store.aside() and not store.record("lorry").finished
    store.add([replace(learnt[0], record=Record("lorry"))])
    assert not store.aside() and Store(store.folder).record("lorry").finished
    with pytest.raises(StoreError, match="could not be a file's name"):
        store.put_aside("../lorry", "?", {})


def test_a_damaged_note_is_named(store: Store) -> None:
    store.put_aside("lorry", "It diverged.", {})
    (path,) = (store.folder / "quarantine").iterdir()
    for content in (b"", b"[]", b'{"scene": "../up", "reason": 1}', b"\xff"):
        path.write_bytes(content)
        with pytest.raises(StoreError, match="lorry.json"):
            store.aside()


def test_asking_for_a_scene_reads_no_scene(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "__getitem__", lambda self, name: pytest.fail("read"))
    assert "van" in store and "lorry" not in store and 3 not in store


def test_what_a_killed_writer_left_goes_after_an_hour(store: Store) -> None:
    old, young = (store.folder / "scenes" / f".{name}.safetensors.1.tmp" for name in ("old", "young"))
    for path in (old, young):
        path.touch()
    os.utime(old, (0, time.time() - 7200))
    store.prune()
    assert not old.exists() and young.exists() and sorted(store) == ["bus", "cab", "van"]
