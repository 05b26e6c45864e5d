"""Programs that serve a page until they are stopped, and a headless browser that looks at it."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
WEBGL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-component-update", "--disable-sync"]
SIZE = {"width": 1000, "height": 640}
PICTURE = {"x": 60, "y": 60, "width": 520, "height": 520}  # left of the control panel
PATIENCE = 240  # seconds, where other tests keep all cores busy


@contextmanager
def served(words: Sequence[str | Path], log: Path, cwd: Path | None = None) -> Iterator[tuple[str, subprocess.Popen]]:
    """Start a program as a person would, give the address that it prints, and interrupt it in the end."""
    program = Path(sys.executable).with_name(str(words[0]))
    with log.open("w") as file:
        process = subprocess.Popen(
            [str(program), *map(str, words[1:])],
            cwd=cwd,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | {"COLUMNS": "80", "OMP_NUM_THREADS": "1"},
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(r"http://(?:localhost|127\.0\.0\.1|0\.0\.0\.0):(\d+)", log.read_text())):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.3)
        yield f"http://127.0.0.1:{found[1]}", process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def browser(*flags: str, webgl: bool = True) -> Iterator[Any]:
    """Start a headless browser, which draws in three dimensions on the processor if it does."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -e '.[dev]'")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *(WEBGL if webgl else ()), *flags])
        yield found
        found.close()


def open_page(found: Any, address: str) -> Any:
    """Open a page and wait for our part of the panel."""
    page = found.new_page(viewport=SIZE)
    page.goto(address)
    page.wait_for_selector("text=Find scene", timeout=PATIENCE * 1000)
    return page


@contextmanager
def page_at(address: str) -> Iterator[Any]:
    """Open a page in a headless browser of its own, as `open_page` does."""
    with browser() as found:
        yield open_page(found, address)


def field(page: Any, label: str) -> Any:
    """Find the text of a labelled element of the panel: what is typed, chosen or slid to."""
    row = page.locator(f"label:text-is('{label}')").locator("xpath=ancestor::*[.//input][1]")
    return row.locator("input:not([type=hidden])")


def fill(page: Any, label: str, text: str) -> None:
    """Type into a field, as somebody does who ends with Enter."""
    field(page, label).fill(text)
    field(page, label).press("Enter")


def press(page: Any, label: str) -> None:
    """Click a button."""
    page.get_by_role("button", name=label, exact=True).click()


def choose(page: Any, label: str, option: str) -> None:
    """Pick an option of a drop-down."""
    field(page, label).click()
    page.locator("[data-combobox-option]:visible", has_text=option).first.click()


def picture(page: Any, accept: Callable[[np.ndarray], bool]) -> np.ndarray:
    """Photograph what is rendered, left of the panel, as soon as a photograph is accepted."""
    from PIL import Image

    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        page.wait_for_timeout(500)
        shot = np.asarray(Image.open(io.BytesIO(page.screenshot(clip=PICTURE))).convert("RGB")).astype(float)
        if accept(shot):
            return shot
    raise AssertionError("the picture that was waited for did not come")


def settled(unlike: np.ndarray | None, same: int = 4) -> Callable[[np.ndarray], bool]:
    """Accept a photograph, not an empty one, that equals the `same` before it and is not of what was shown last."""
    shots: list[np.ndarray] = []

    def accept(shot: np.ndarray) -> bool:
        shots.append(shot)
        changed = unlike is None or difference(shot, unlike) > 5
        still = len(shots) > same and all(difference(shot, old) == 0 for old in shots[-same - 1 :])
        return changed and still and shot.std() > 1

    return accept


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference, of 255."""
    return float(np.abs(one - other).mean())


def listens_on(address: str) -> set[str]:
    """Say on which IPv4 addresses this machine listens at an address' port, from Linux' own table."""
    port = int(address.rsplit(":", 1)[1])
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    local = [row[1].split(":") for row in rows if row[3] == "0A"]  # 0A: it listens
    found = [bytes.fromhex(host)[::-1] for host, at in local if int(at, 16) == port]
    return {".".join(map(str, host)) for host in found}
