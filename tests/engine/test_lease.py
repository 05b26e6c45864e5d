"""One driver for each part of a store; the note of a dead one is taken away, that of a living one is respected."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.engine import lease as module
from tda_nerfstudio.engine.lease import DRIVERS, Lease, Shard

HERE = socket.gethostname()


def note(store: Path, shard: tuple[int, int] = (0, 1), **facts: object) -> Path:
    """Write the note of another driver."""
    now = time.time()
    content = {"token": "t", "shard": shard, "since": now, "beat": now} | module._this_process()
    path = store / DRIVERS / f"{shard[0]}-of-{shard[1]}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content | facts))
    return path


def dead_process() -> int:
    """Give the number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_second_driver_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    words = rf"is being filled already, by process {os.getpid()} on {HERE} since .* --shard 0/2 and --shard 1/2"
    with Lease(tmp_path, Shard()), pytest.raises(TdaError, match=words), Lease(tmp_path, Shard()):
        pass
    assert not list((tmp_path / DRIVERS).iterdir())
    with Lease(tmp_path, Shard()):
        pass


@pytest.mark.parametrize(("own", "fits"), [((1, 2), True), ((0, 2), False), ((0, 1), False), ((1, 3), False)])
def test_parts_of_one_cut_go_together_and_no_others(tmp_path: Path, own: tuple[int, int], fits: bool) -> None:
    with Lease(tmp_path, Shard(0, 2)):
        if fits:
            with Lease(tmp_path, Shard(*own)):
                assert len(list((tmp_path / DRIVERS).iterdir())) == 2
        else:
            with (
                pytest.raises(TdaError, match="is being filled already, .*, shard 0/2 since"),
                Lease(tmp_path, Shard(*own)),
            ):
                pass


def test_a_process_of_this_machine_that_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    note(tmp_path, pid=dead_process())
    said: list[str] = []
    with Lease(tmp_path, Shard(), said.append):
        assert not said


def test_a_number_that_was_given_to_another_process_since_is_not_taken_for_it(tmp_path: Path) -> None:
    note(tmp_path, born=psutil.Process().create_time() - 100)
    with Lease(tmp_path, Shard()) as lease:
        assert json.loads(lease.path.read_text())["token"] == lease.token


def test_clocks_of_other_machines_may_go_wrong(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "DEAD", 1.0)
    monkeypatch.setattr(module, "BEAT", 0.2)
    for wrong in (-1e6, 1e6):
        note(tmp_path, host="elsewhere", beat=time.time() + wrong, since=time.time() - 10)
        began = time.monotonic()
        with Lease(tmp_path, Shard(), lambda text: None):
            assert time.monotonic() - began > 1


def test_one_of_another_machine_is_waited_for_until_it_is_old(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "DEAD", 1.0)
    monkeypatch.setattr(module, "BEAT", 0.2)
    note(tmp_path, host="elsewhere", pid=7)
    said: list[str] = []
    with Lease(tmp_path, Shard(), said.append):
        assert said == ["Waiting up to 1 s: elsewhere (process 7) may still fill this store."]


def test_one_of_another_machine_that_renews_its_note_is_respected(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "BEAT", 0.2)

    def renew(text: str) -> None:
        note(tmp_path, host="elsewhere", pid=7, beat=time.time() + 1)

    note(tmp_path, host="elsewhere", pid=7)
    with pytest.raises(TdaError, match="by process 7 on elsewhere"), Lease(tmp_path, Shard(), renew):
        pass
    assert len(list((tmp_path / DRIVERS).iterdir())) == 1


def test_who_stood_still_for_too_long_learns_that_another_took_over(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "BEAT", 0.1)
    with Lease(tmp_path, Shard()) as lease:
        first = json.loads(lease.path.read_text())["beat"]
        while json.loads(lease.path.read_text())["beat"] == first:
            time.sleep(0.05)
        path = note(tmp_path)
        while not lease.lost:
            time.sleep(0.05)
    assert json.loads(path.read_text())["token"] == "t"


@pytest.mark.parametrize("text", ["2/2", "-1/2", "1", "a/b", "0/0", "1/2/3"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(TdaError, match="is no part: give I/N with I from 0 to N - 1"):
        Shard.read(text)
    assert Shard.read("3/8") == Shard(3, 8)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"token": 1}', '{"token": "t", "shard": [0]}'])
def test_a_damaged_note_stops_nobody_for_long(tmp_path: Path, content: str) -> None:
    (tmp_path / DRIVERS).mkdir()
    (tmp_path / DRIVERS / "0-of-1.json").write_text(content)
    with Lease(tmp_path, Shard()) as lease:
        assert json.loads(lease.path.read_text())["token"] == lease.token
