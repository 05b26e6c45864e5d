"""Our controls in a headless browser, in nerfstudio's viewer and in our own: they change what is shown."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import (
    CHROMIUM,
    SIZE,
    browser,
    choose,
    difference,
    field,
    fill,
    open_page,
    page_at,
    picture,
    press,
    served,
    settled,
)
from screenshots import keep

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
def viewer(request, two_sights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Show the run, or a store of its scenes with their images, and give the viewer's address and its process."""
    words: list[str | Path] = ["ns-viewer", "--load-config", two_sights, "--viewer.websocket-host", "127.0.0.1"]
    if request.param == "tda view":
        from tda_nerfstudio.plugin.run_store import export_run

        store = export_run(two_sights, tmp_path_factory.mktemp("store")).folder
        words = ["tda", "view", store, "--data", request.getfixturevalue("tiny_atlas")]
    with served(words, tmp_path_factory.mktemp("viewer") / "log.txt") as (address, process):
        yield address, process.pid


def test_search_steps_outputs_and_comparison_change_the_right_pixels(viewer: tuple[str, int], stage_two) -> None:
    first, second = stage_two.manifest["scene_names"]
    with page_at(viewer[0]) as page:
        if field(page, "Longest side").count():  # small pictures come to rest soon
            fill(page, "Longest side", "256")
        choose(page, "Scene", first)
        own = picture(page, settled(unlike=None))
        fill(page, "Find scene", second[-4:])
        page.wait_for_selector(f"text=1 of 1 hit, {len(stage_two.manifest['scene_names'])} scenes in all")
        other = picture(page, settled(unlike=own))
        fill(page, "Find scene", "")
        page.wait_for_selector(f"text={len(stage_two.manifest['scene_names'])} hits")
        press(page, "Prev")
        again = picture(page, settled(unlike=other))
        keep(page, "a scene that was found")
        # Not 0: nerfstudio's viewer sends the same image as a JPEG of another quality when it comes to rest.
        assert difference(own, again) < difference(own, other) / 4
        assert field(page, "Scene").input_value() == first
        shown = {"decoded image": again}
        for output in ("accumulation", "nearest image"):
            choose(page, "Output", output)
            shown[output] = picture(page, settled(unlike=list(shown.values())[-1]))
            keep(page, output)
        assert shown["accumulation"].std(2).max() < 3  # grey
        choose(page, "Output", "decoded image")
        picture(page, settled(unlike=shown["nearest image"]))
        page.click("text=Compare and blend")
        choose(page, "Picture", "A | B in one picture")
        both = picture(page, settled(unlike=again))
        keep(page, "two scenes in one picture")
        height = both.shape[0]
        assert difference(both[: height - 60, 350:], other[: height - 60, 350:]) < difference(own, other) / 4
        assert difference(both[: height - 60, :150], own[: height - 60, :150]) < difference(own, other) / 4
        choose(page, "Picture", "one scene")
        fill(page, "Blend A to B", "1")
        blended = picture(page, settled(unlike=both))
        keep(page, "a blend")
        assert difference(blended, other) < difference(own, other) / 4


def test_two_tabs_have_scenes_of_their_own_and_a_closed_one_leaves_no_thread(viewer, stage_two, tmp_path) -> None:
    address, pid = viewer
    with browser() as found:
        one = open_page(found, address)
        first = field(one, "Scene").input_value()
        (second,) = {*stage_two.manifest["scene_names"]} - {first}
        own = picture(one, settled(unlike=None))
        other = open_page(found, address)
        choose(other, "Scene", second)
        theirs = picture(other, settled(unlike=own))
        assert field(one, "Scene").input_value() == first and field(other, "Scene").input_value() == second
        one.mouse.move(300, 300)
        one.mouse.down()
        one.mouse.move(300, 302)  # it is painted anew
        one.mouse.up()
        assert difference(picture(one, settled(unlike=None)), own) < difference(theirs, own) / 2
        threads = lambda: len(list(Path(f"/proc/{pid}/task").iterdir()))  # noqa: E731
        with_both, deadline = threads(), time.monotonic() + 60
        other.close()
        while threads() >= with_both and time.monotonic() < deadline:
            time.sleep(0.2)
        assert threads() < with_both


def test_our_own_viewer_asks_nobody_else_and_says_when_webgl_is_missing(viewer: tuple[str, int]) -> None:
    with browser() as found:
        page, asked = found.new_page(viewport=SIZE), []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(viewer[0])
        page.wait_for_selector("text=Find scene", timeout=60_000)
        if page.locator("text=Pause Training").count():
            pytest.skip("nerfstudio's own page")
    assert asked and all(url.startswith((viewer[0], "data:", "blob:")) for url in asked), asked
    with browser("--disable-3d-apis") as found:
        page = found.new_page(viewport=SIZE)
        page.goto(viewer[0])
        page.wait_for_selector("text=This viewer draws with WebGL, and this browser has none.", timeout=60_000)
