"""ns-viewer and tda view in a headless browser: the drop-down of scenes changes the picture."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic"]
FLAGS += ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
SIZE = {"width": 1000, "height": 640}
PICTURE = {"x": 60, "y": 60, "width": 520, "height": 520}  # left of the control panel
PATIENCE = 90  # seconds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH (Debian: apt install chromium)"),
]


def free_port() -> int:
    """Ask the system for a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def two_sights(stage_two) -> Path:
    """Copy stage 2 and make its second scene another sight: after so few steps its two scenes look alike."""
    import torch

    folder = stage_two.folder.with_name("viewed")
    shutil.copytree(stage_two.folder, folder)
    config = folder / "config.yml"
    config.write_text(config.read_text().replace(f"timestamp: {stage_two.folder.name}\n", "timestamp: viewed\n"))
    (checkpoint,) = (folder / "nerfstudio_models").iterdir()
    state = torch.load(checkpoint, weights_only=True)
    state["pipeline"]["_model.field.scenes.micro"][1] = -30  # solid, and of one latent colour
    state["pipeline"]["_model.field.scenes.occupied"][:] = True  # after so few steps it is not known what is empty
    torch.save(state, checkpoint)
    return config


@pytest.fixture(scope="module", params=["ns-viewer", "tda view"])
def viewer(request, two_sights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Show the run, or a store of its scenes, and give the viewer's address."""
    port, log = free_port(), tmp_path_factory.mktemp("viewer") / "log.txt"
    if request.param == "tda view":
        from tda_nerfstudio.plugin.storing import export_run

        store = export_run(two_sights, tmp_path_factory.mktemp("store")).folder
        words = [Path(sys.executable).with_name("tda"), "view", store, "--port", str(port)]
    else:
        words = [Path(sys.executable).with_name("ns-viewer"), "--load-config", two_sights]
        words += ["--viewer.websocket-port", str(port), "--viewer.websocket-host", "127.0.0.1"]
    with log.open("w") as file:
        process = subprocess.Popen(
            [str(word) for word in words], stdout=file, stderr=subprocess.STDOUT, env=os.environ | {"COLUMNS": "200"}
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def picture(page, accept: Callable[[np.ndarray], bool]) -> np.ndarray:
    """Photograph what is rendered, left of the panel, as soon as a photograph is accepted."""
    from PIL import Image

    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        page.wait_for_timeout(500)
        shot = np.asarray(Image.open(io.BytesIO(page.screenshot(clip=PICTURE))).convert("RGB")).astype(float)
        if accept(shot):
            return shot
    raise AssertionError("the picture that was waited for did not come")


def settled(unlike: np.ndarray | None) -> Callable[[np.ndarray], bool]:
    """Accept a photograph, not an empty one, that equals the five before it and is not of what was shown last."""
    shots: list[np.ndarray] = []

    def accept(shot: np.ndarray) -> bool:
        shots.append(shot)
        changed = unlike is None or difference(shot, unlike) > 2
        return changed and len(shots) > 5 and shot.std() > 1 and all(difference(shot, old) == 0 for old in shots[-6:])

    return accept


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference, of 255."""
    return float(np.abs(one - other).mean())


def choose(page, scene: str, instead_of: str) -> None:
    """Pick a scene in the drop-down that shows another one."""
    boxes = page.locator("input[aria-haspopup=listbox]:visible").all()
    (box,) = [box for box in boxes if box.input_value() == instead_of]
    box.click()
    page.locator("[data-combobox-option]:visible", has_text=scene).click()


def test_the_drop_down_switches_the_scene_that_is_shown(viewer: str, stage_two) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -e '.[dev]'")
    first, second = stage_two.manifest["scene_names"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport=SIZE)
        page.goto(viewer)
        page.wait_for_selector("text=Custom Elements", timeout=PATIENCE * 1000)
        page.click("text=Hide Train Cams")  # frustums change with the scene too: look at the rendering alone
        shots = []
        for scene, other in [(second, first), (first, second), (second, first)]:  # the first trip starts from anywhere
            choose(page, scene, instead_of=other)
            shots.append(picture(page, settled(unlike=shots[-1] if shots else None)))
        browser.close()
    seconds, firsts, seconds_again = shots
    # Not 0: the viewer sends the same image as a JPEG of another quality when it comes to rest.
    assert difference(seconds, seconds_again) < difference(seconds, firsts) / 4
