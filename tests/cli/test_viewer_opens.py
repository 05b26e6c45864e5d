"""The viewer, as people get it: on by default, for both stages, while it trains and afterwards."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from browsing import CHROMIUM, listens_on, page_at, picture, served

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH (Debian: apt install chromium)"),
]
LONG = ["--max-num-iterations", "2000"]


def shows_something(address: str) -> None:
    """Open the page in a browser; wait until an image is there, and a drop-down that names its scene."""
    with page_at(address) as page:
        boxes = page.locator("input[aria-haspopup=listbox]:visible").all()
        assert any(box.input_value().startswith("vehicle_") for box in boxes)
        picture(page, lambda shot: shot.std() > 1)


@pytest.mark.parametrize("method", ["tda-ae", "tda-scenes"])
def test_the_viewer_opens_while_training_and_afterwards(
    method: str, outputs: Path, stage_one, tiny_atlas: Path, tmp_path: Path
) -> None:
    output = tmp_path / "outputs"
    shutil.copytree(outputs / "tiny/tda-ae/one", output / "tiny/tda-ae/one")
    words = ["ns-train", method, "--data", tiny_atlas, "--output-dir", output, "--timestamp", "seen", *LONG]
    if method == "tda-ae":
        words += ["--pipeline.schedule.warmup-visits", "0"]  # scenes are seen from the first step
    with served(words, tmp_path / "training.txt") as (address, training):
        assert listens_on(address) == {"127.0.0.1"}
        shows_something(address)
        assert training.poll() is None, (tmp_path / "training.txt").read_text()
    text = (tmp_path / "training.txt").read_text()
    assert "Traceback" not in text, text
    assert training.returncode == 130, text
    shutil.rmtree(output / "tiny/tda-ae/one")  # neither the run nor its viewer needs it any more
    config = output / "tiny" / method / "seen/config.yml"
    with served(["ns-viewer", "--load-config", config], tmp_path / "viewing.txt") as (address, viewing):
        shows_something(address)
        assert viewing.poll() is None
    text = (tmp_path / "viewing.txt").read_text()
    assert text.count("Traceback") == text.count("\nKeyboardInterrupt"), text  # ns-viewer's way to be left
