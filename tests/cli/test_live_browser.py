"""The live panel in a headless browser: images and curves are there while tda-ae trains, and change."""

from __future__ import annotations

import base64
import re
import time
from pathlib import Path
from typing import Any

import pytest
from browsing import CHROMIUM, page_at, served
from screenshots import keep

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH (Debian: apt install chromium)"),
]
PATIENCE = 40  # seconds
STEP = re.compile(r"Step (\d+): (\w+)")


def drawings(page: Any) -> list[str]:
    """Read the panel's three drawings as SVG: pictures, losses, shares of high frequencies."""
    sources = [image.get_attribute("src") for image in page.locator("img[alt=live]").all()]
    return [base64.b64decode(source.partition("base64,")[2]).decode() for source in sources]


def wait_for(page: Any, log: Path, accept: Any) -> list[str]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = drawings(page)
        if len(found) == 3 and accept(found):
            return found
        page.wait_for_timeout(300)
    raise AssertionError(log.read_text())


def test_images_and_curves_are_there_and_change_as_training_goes(tiny_atlas: Path, tmp_path: Path) -> None:
    log = tmp_path / "training.txt"
    words = ["ns-train", "tda-ae", "--data", tiny_atlas, "--output-dir", tmp_path, "--max-num-iterations", "4000"]
    with served(words, log) as (address, training), page_at(address) as page:
        first = wait_for(page, log, lambda found: "<polyline" in found[1])
        assert all(name in first[0] for name in ("rendered latent", "decoded", "autoencoder: start", "dB"))
        assert first[0].count("data:image/png") == 6 and "latent" in first[1] and "encoded" in first[2]
        box = page.locator("img[alt=live]").first.bounding_box()
        assert box["width"] > 250 and box["x"] + box["width"] < page.viewport_size["width"]
        assert page.evaluate("[...document.querySelectorAll('img[alt=live]')].every(i => i.naturalWidth > 200)")
        (step, scene) = STEP.search(first[0]).groups()  # type: ignore[union-attr]
        later = wait_for(page, log, lambda found: int(STEP.search(found[0])[1]) > int(step))  # type: ignore[index]
        assert all(new != old for new, old in zip(later, first, strict=True))
        keep(page, "stage 1 live")
        (drop,) = [b for b in page.locator("input[aria-haspopup=listbox]:visible").all() if b.input_value() == scene]
        drop.click()
        page.locator("[data-combobox-option]:visible", has_text="vehicle_0003").click()
        wait_for(page, log, lambda found: "vehicle_0003" in found[0])
        assert training.poll() is None
    text = log.read_text()
    assert "Traceback" not in text and "live panel" not in text and training.returncode == 130, text
