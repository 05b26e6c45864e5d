"""Who works on a store: a note that its driver renews, so that a second driver does not learn the same scenes."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import psutil

from tda_nerfstudio.base.atomic import create_file, write_text
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.places import reached

DRIVERS = "drivers"
"""Folder of a store that has the notes."""
BEAT, DEAD = 10.0, 60.0
"""Seconds between renewals, and the age of a note whose driver is taken for dead."""


class Shard(NamedTuple):
    """The i-th of n parts of a plan, counted from 0."""

    i: int = 0
    n: int = 1

    @classmethod
    def read(cls, text: str) -> Self:
        """Read `i/n`. Raises TdaError for anything else."""
        try:
            i, n = map(int, text.split("/"))
        except ValueError:
            i, n = -1, 0
        if not 0 <= i < n:
            raise TdaError(f"--shard {text} is no part: give I/N with I from 0 to N - 1, such as 0/8 to 7/8.")
        return cls(i, n)

    def overlaps(self, other: Shard) -> bool:
        """Whether two parts have waves in common."""
        return self.n != other.n or self.i == other.i


class Lease:
    """The right to work on a part of a store's plan, kept from the start to the end of a `with` block.

    Raises TdaError where somebody else has it. A note that is not renewed is waited for until it is too old; that of a
    process of this machine that is gone is not.
    """

    def __init__(self, store: Path, shard: Shard, tell: Callable[[str], object] = print) -> None:
        self.store, self.shard, self.tell = store, shard, tell
        self.token = uuid.uuid4().hex
        self.path = store / DRIVERS / f"{shard.i}-of-{shard.n}.json"
        self.lost = False
        """Whether somebody else took it over, since this process was taken for dead."""
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        while True:
            self._wait_for_others()
            if create_file(self.path, self._note().encode()):
                break
            found = _read(self.path)
            if found is not None and found["token"] == self.token:  # the answer to a request was lost
                break
            if found is None:  # damaged, by a disk that was full
                self.path.unlink(missing_ok=True)
        rivals = [note for _, note in self._others() if note["since"] <= self._since]
        if rivals:
            self.path.unlink(missing_ok=True)
            raise self._refusal(rivals[0])
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        if not self.lost:
            with contextlib.suppress(Exception):  # it will be too old soon
                self.path.unlink(missing_ok=True)

    def _note(self) -> str:
        self._since = getattr(self, "_since", time.time())
        facts = {"token": self.token, "shard": list(self.shard)} | _this_process()
        return json.dumps(facts | {"since": self._since, "beat": time.time()}) + "\n"

    def _renew(self) -> None:
        while not self._ended.wait(BEAT):
            with contextlib.suppress(Exception):  # whatever it is: the next renewal may succeed
                found = _read(self.path)
                if found is not None and found["token"] != self.token:
                    self.lost = True
                    return
                write_text(self.path, self._note())

    def _others(self) -> list[tuple[Path, dict[str, Any]]]:
        """List the notes of drivers that work on the same scenes."""
        with reached(self.store):
            paths = sorted((self.store / DRIVERS).glob("*-of-*.json"))
            notes = [(path, note) for path in paths if (note := _read(path)) is not None]
        foreign = [(path, note) for path, note in notes if note["token"] != self.token]
        return [(path, note) for path, note in foreign if self.shard.overlaps(Shard(*note["shard"]))]

    def _wait_for_others(self) -> None:
        """Wait until it is known of every note whether its driver lives, and remove those of the dead.

        By this machine's clock: others may go wrong.
        """
        first, said = {}, False
        while others := self._others():
            for path, note in others:
                alive = _is_alive(note)
                since, beat = first.setdefault(note["token"], (time.monotonic(), note["beat"]))
                if alive or note["beat"] != beat:
                    raise self._refusal(note)
                if alive is False or time.monotonic() - since > DEAD:
                    path.unlink(missing_ok=True)
                elif not said:
                    said = True
                    self.tell(
                        f"Waiting up to {DEAD:.0f} s: {note['host']} (process {note['pid']}) may still fill this store."
                    )
            time.sleep(BEAT / 20)

    def _refusal(self, note: dict[str, Any]) -> TdaError:
        part = "" if note["shard"] == [0, 1] else f", shard {note['shard'][0]}/{note['shard'][1]}"
        return TdaError(
            f"The store {self.store} is being filled already, by process {note['pid']} on {note['host']}{part} since"
            f" {time.strftime('%Y-%m-%d %H:%M', time.localtime(note['since']))}. Wait for it, stop it, or give each"
            " process its own part: --shard 0/2 and --shard 1/2. Nothing was changed."
        )


def _read(path: Path) -> dict[str, Any] | None:
    """Read a note; None for one that was removed meanwhile or is damaged."""
    try:
        note = json.loads(path.read_bytes()[:4096])
        kinds = {"token": str, "host": str, "space": str, "pid": int, "born": float, "since": float, "beat": float}
        whole = all(isinstance(note[key], kind) for key, kind in kinds.items()) and len(note["shard"]) == 2
        return note if whole and all(isinstance(k, int) for k in note["shard"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _this_process() -> dict[str, Any]:
    """Say which process this is: a number alone is given again, and counted anew in every container."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    born = psutil.Process().create_time()
    return {"host": socket.gethostname(), "space": space, "pid": os.getpid(), "born": born}


def _is_alive(note: dict[str, Any]) -> bool | None:
    """Tell whether a note's process lives, if it is one of this machine; None for others."""
    here = _this_process()
    if (note["host"], note["space"]) != (here["host"], here["space"]):
        return None
    try:
        return abs(psutil.Process(note["pid"]).create_time() - note["born"]) < 1
    except (psutil.Error, ValueError, OverflowError):
        return False
