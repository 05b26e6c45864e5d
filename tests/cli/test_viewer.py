"""ns-viewer and tda view in a headless browser: the drop-down of scenes changes the picture."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import CHROMIUM, difference, page_at, picture, served, settled

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH (Debian: apt install chromium)"),
]


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
    words: list[str | Path] = ["ns-viewer", "--load-config", two_sights, "--viewer.websocket-host", "127.0.0.1"]
    if request.param == "tda view":
        from tda_nerfstudio.plugin.run_store import export_run

        words = ["tda", "view", export_run(two_sights, tmp_path_factory.mktemp("store")).folder]
    with served(words, tmp_path_factory.mktemp("viewer") / "log.txt") as (address, _):
        yield address


def choose(page, scene: str, instead_of: str) -> None:
    """Pick a scene in the drop-down that shows another one."""
    boxes = page.locator("input[aria-haspopup=listbox]:visible").all()
    (box,) = [box for box in boxes if box.input_value() == instead_of]
    box.click()
    page.locator("[data-combobox-option]:visible", has_text=scene).click()


def test_the_drop_down_switches_the_scene_that_is_shown(viewer: str, stage_two) -> None:
    first, second = stage_two.manifest["scene_names"]
    with page_at(viewer) as page:
        page.click("text=Hide Train Cams")  # frustums change with the scene too: look at the rendering alone
        shots = []
        for scene, other in [(second, first), (first, second), (second, first)]:  # the first trip starts from anywhere
            choose(page, scene, instead_of=other)
            shots.append(picture(page, settled(unlike=shots[-1] if shots else None)))
    seconds, firsts, seconds_again = shots
    # Not 0: the viewer sends the same image as a JPEG of another quality when it comes to rest.
    assert difference(seconds, seconds_again) < difference(seconds, firsts) / 4
