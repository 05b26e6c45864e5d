"""A thousand damaged stores: each gives its scenes or a StoreError that names the file, at once, and nothing else."""

from __future__ import annotations

import json
import random
import shutil
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from tda_nerfstudio.base.errors import StoreError
from tda_nerfstudio.base.hardware import peak_memory
from tda_nerfstudio.store.manifest import MANIFEST
from tda_nerfstudio.store.store import Store

STRANGE = [
    None,
    True,
    -1,
    0,
    1e308,
    10**30,
    "",
    "../..",
    "x" * 5000,
    [],
    [[]],
    {},
    {"a": 1},
    "\x00",
    "NaN",
    float("inf"),
]


def flip(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << draw.randrange(8))]) + content[at + 1 :]


def cut(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content))]


def double(content: bytes, draw: random.Random) -> bytes:
    at, length = draw.randrange(len(content)), draw.randrange(1, 64)
    return content[:at] + content[at : at + length] + content[at:]


def overwrite(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content))
    return content[:at] + draw.randbytes(draw.randrange(1, 32)) + content[at + 8 :]


def head(content: bytes, draw: random.Random) -> bytes:
    """Lie about the length of the header."""
    length = draw.choice([0, 1, 2**31, 2**63, 2**64 - 1, len(content), draw.randrange(1 << 24)])
    return length.to_bytes(8, "little") + content[8:]


def strange(content: bytes, draw: random.Random) -> bytes:
    """Put something strange somewhere into the JSON of a manifest or of a header."""
    length = 0 if content[:1] == b"{" else int.from_bytes(content[:8], "little")
    text = content[8 : 8 + length] if length else content
    try:
        whole = json.loads(text)
    except ValueError:
        return flip(content, draw)
    at = whole
    while True:
        key = draw.choice(list(at) if isinstance(at, dict) else range(len(at)))
        if not isinstance(at[key], dict | list) or not at[key] or draw.random() < 0.3:
            break
        at = at[key]
    at[key] = draw.choice(STRANGE)
    if isinstance(at, dict) and draw.random() < 0.2:
        del at[key]
    changed = json.dumps(whole).encode()
    return len(changed).to_bytes(8, "little") + changed + content[8 + length :] if length else changed


CHANGES: list[Callable[[bytes, random.Random], bytes]] = [flip, cut, double, overwrite, head, strange]


def use(folder: Path) -> list[StoreError]:
    """Open a store, look at everything in it and render a scene; return what it complains of."""
    problems = []
    try:
        store = Store(folder)
    except StoreError as error:
        return [error]
    for name in store:
        try:
            store.record(name)
            store[name].render(store.orbit(1), 8, 8)
        except StoreError as error:
            problems.append(error)
    return problems + store.verify()


def test_damage_is_named_and_nothing_else_happens(store, tmp_path):
    draw, folder = random.Random(0), tmp_path / "damaged"
    files = sorted(path.relative_to(store.folder) for path in store.folder.rglob("*") if path.is_file())
    whole = {path: (store.folder / path).read_bytes() for path in files}
    shutil.copytree(store.folder, folder)
    refused, before, usual = 0, peak_memory(), time_of_use(folder)
    for i in range(1050):
        path = files[i % len(files)]
        content = draw.choice(CHANGES)(whole[path], draw)
        for _ in range(draw.choice([0, 0, 1, 3])):
            content = draw.choice(CHANGES)(content or b"x", draw)
        (folder / path).write_bytes(content)
        started = time.process_time()
        problems = use(folder)
        assert time.process_time() - started < 100 * usual
        assert all(path.name in str(problem) or MANIFEST in str(problem) for problem in problems), problems
        if content != whole[path]:
            told = path.name == MANIFEST or bool(problems)
            assert told, f"{path} was changed and nothing was found"
            refused += bool(problems)
        (folder / path).write_bytes(whole[path])
    assert refused > 750 and not use(folder)
    assert peak_memory() - before < 200 << 20, "some damage made it take memory that no store needs"


def time_of_use(folder: Path) -> float:
    """Measure how long it takes to look at everything in a whole store: the median of some times."""
    seconds = []
    for _ in range(9):
        started = time.process_time()
        assert not use(folder)
        seconds.append(time.process_time() - started)
    return median(seconds)


@pytest.mark.parametrize("name", ["../../etc", "/abs", "a/../../b"])
def test_names_that_lead_out_of_the_store_are_refused(store, name):
    path = store.file("cab").path
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    about = zlib.decompress(b64decode(header["__metadata__"]["tda"])).decode().replace('"cab"', json.dumps(name))
    header["__metadata__"]["tda"] = b64encode(zlib.compress(about.encode())).decode()
    changed = json.dumps(header).encode()
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + content[8 + length :])
    (problem,) = Store(store.folder).damaged
    assert "could not be a file's name" in str(problem) and str(path) in str(problem)
