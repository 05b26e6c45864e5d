"""Galleries in a browser, opened from disk: searched, sorted, turned, read by keyboard, and scrolled."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import browsing
import numpy as np
import pytest
import torch
from PIL import Image
from screenshots import keep

from tda_nerfstudio.looking.gallery import rendering
from tda_nerfstudio.looking.gallery.options import Options
from tda_nerfstudio.looking.gallery.pictures import encoded
from tda_nerfstudio.looking.gallery.write_gallery import write_gallery
from tda_nerfstudio.store.learnt_scene import LearntScene, Record
from tda_nerfstudio.store.store import Store
from tda_nerfstudio.store.stored_scene import StoredScene

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browsing.CHROMIUM is None, reason="no chromium on PATH (Debian: apt install chromium)"),
]
HOSTILE = ["<script>alert(1)<", "\"quoted\" & 'single'", "#?%20[x](y){{ 7 * 7 }}", "<img src=x onerror=alert(1)>"]
SCROLL = """
() => new Promise((done) => {
  const stamps = [];
  let nodes = 0;
  const step = (now) => {
    stamps.push(now);
    scrollBy(0, 120);
    nodes = Math.max(nodes, document.querySelectorAll('*').length);
    if (scrollY + innerHeight < document.documentElement.scrollHeight - 1) return requestAnimationFrame(step);
    const times = stamps.slice(1).map((stamp, i) => stamp - stamps[i]).sort((a, b) => a - b);
    done({ median: times[times.length >> 1], late: times[Math.floor(0.95 * times.length)], nodes });
  };
  requestAnimationFrame(step);
})
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start a headless browser."""
    with browsing.browser(webgl=False) as started:
        yield started


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """Give tests `opened(**options)`: the index of the gallery in tmp_path/out; nothing on it may go wrong."""
    contexts, wrong = [], []

    def open_page(**options: Any) -> Any:
        contexts.append(browser.new_context(viewport={"width": 1000, "height": 700}, **options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text))
        page.on("requestfailed", lambda request: wrong.append(f"{request.url} {request.failure}"))
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.goto((tmp_path / "out/index.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [text for text in wrong if not text.endswith("net::ERR_ABORTED")] == []  # the page was left


@pytest.fixture
def shown(store: Store, learnt: list[LearntScene], tmp_path: Path) -> Store:
    """A gallery of scenes with scores, hostile names among them, one put aside and one damaged."""
    names = ["bus_2", "bus_10", *HOSTILE]
    made = [replace(learnt[i % 3], record=Record(name, {"psnr": 30.0 - i})) for i, name in enumerate(names)]
    store.add(made, "fp32")
    store.put_aside("Täxi <b>", "It diverged, twice.", {})
    path = store.file("cab").path
    path.write_bytes(path.read_bytes()[:-1] + b"~")
    write_gallery(Store(store.folder), tmp_path / "out", None, Options(frames=12, views=2))
    return store


def names_of(page: Any) -> list[str]:
    return page.locator("#scenes .name").all_inner_texts()


def wait_for_hits(page: Any, text: str) -> None:
    """Wait until the page tells this number of hits."""
    page.get_by_role("status").filter(has_text=re.compile(f"^{text}$")).wait_for()


def picture(box: Any) -> np.ndarray:
    """Photograph an element, once its image is there."""
    page = box.page
    page.wait_for_function("(box) => box.querySelector('img').naturalWidth > 0", arg=box.element_handle())
    page.wait_for_timeout(60)
    return np.asarray(Image.open(io.BytesIO(box.screenshot())).convert("RGB")).astype(float)


def test_scenes_are_searched_sorted_and_filtered(shown: Store, opened: Any) -> None:
    page = opened()
    wait_for_hits(page, "10 scenes")
    assert names_of(page)[4:7] == ["bus", "bus_2", "bus_10"]
    keep(page, "gallery")
    page.get_by_label("Search").fill("BUS _1")
    wait_for_hits(page, "1 of 10 scenes")
    assert names_of(page) == ["bus_10"]
    page.get_by_label("Search").fill("taxi")
    assert names_of(page) == ["Täxi <b>"] and "It diverged, twice." in page.locator("#scenes").inner_text()
    page.get_by_label("Search").fill("nothing of it")
    wait_for_hits(page, "0 of 10 scenes")
    assert page.get_by_text("No scene matches.").is_visible()
    page.get_by_role("button", name="Show all scenes").click()
    page.get_by_label("Sort").select_option("best")
    assert names_of(page)[:2] == ["bus_2", "bus_10"] and names_of(page)[-1] == "Täxi <b>"
    page.get_by_label("Sort").select_option("worst")
    assert names_of(page)[:4] == ["bus", "cab", "van", HOSTILE[-1]]
    page.get_by_label("Sort").select_option("newest")
    assert set(names_of(page)[:6]) == {"bus_2", "bus_10", *HOSTILE}
    page.get_by_label("Show").select_option("aside")
    assert names_of(page) == ["Täxi <b>"]
    page.get_by_role("link", name="Täxi <b>").click()
    assert "Put aside: It diverged, twice." in page.get_by_role("main").inner_text()
    page.get_by_role("link", name="All scenes").click()
    wait_for_hits(page, "1 of 10 scenes")
    assert page.get_by_label("Sort").input_value() == "newest"
    page.get_by_label("Show").select_option("damaged")
    assert names_of(page) == ["cab"]


def test_pictures_turn_under_the_mouse_and_when_they_have_the_focus(shown: Store, opened: Any) -> None:
    page = opened()
    card = page.locator(".card", has=page.get_by_text("van", exact=True))
    frame = card.locator(".frame")
    rest, box = picture(frame), frame.bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + box["height"] / 2)
    left = picture(frame)
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    right = picture(frame)
    assert min(np.abs(left - rest).max(), np.abs(right - rest).max(), np.abs(left - right).max()) > 10
    page.mouse.move(1, 1)
    assert np.abs(picture(frame) - rest).max() < 5
    offset = "(image) => Number(image.dataset.offset)"
    page.get_by_role("link", name="bus_10").focus()
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").startswith("van"):
            break
    page.wait_for_function("(image) => Number(image.dataset.offset) > 3", arg=frame.locator("img").element_handle())
    page.keyboard.press("ArrowLeft")
    before = frame.locator("img").evaluate(offset)
    page.keyboard.press("ArrowLeft")
    assert frame.locator("img").evaluate(offset) == before - 1
    page.keyboard.press("Enter")
    assert page.get_by_role("heading", level=1).inner_text() == "van"


def test_a_scene_is_turned_by_mouse_and_keys_and_leads_to_its_neighbours(shown: Store, opened: Any) -> None:
    page = opened()
    page.get_by_role("link", name="bus_10").click()
    turntable = page.get_by_role("slider", name="Turn bus_10")
    rest, box = picture(turntable), turntable.bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 100 + box["width"] / 4, box["y"] + 120, steps=3)
    page.mouse.up()
    assert turntable.get_attribute("aria-valuetext") == "90 degrees"
    page.mouse.move(1, 1)
    assert np.abs(picture(turntable) - rest).max() > 10
    turntable.focus()
    page.keyboard.press("ArrowRight")
    assert turntable.get_attribute("aria-valuenow") == "120"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert turntable.get_attribute("aria-valuenow") == "330"
    assert "29.00 dB" in page.get_by_role("main").inner_text()
    assert page.get_by_role("img", name="From 180°").count() == 1
    page.get_by_role("link", name=re.compile("^Next → ?: cab")).click()
    assert "Damaged: The file of scenes" in page.get_by_role("main").inner_text()
    page.get_by_role("link", name=re.compile("^← Previous ?: bus_10")).click()
    page.get_by_role("link", name="All scenes").click()
    wait_for_hits(page, "10 scenes")
    keep(page, "gallery, a scene")


def test_hostile_names_are_text_everywhere(shown: Store, opened: Any) -> None:
    page = opened()
    assert set(HOSTILE) <= set(names_of(page))
    for name in HOSTILE:
        page.get_by_label("Search").fill(name)
        assert names_of(page) == [name]
        page.locator("#scenes a").click()
        assert page.get_by_role("heading", level=1).inner_text() == name
        picture(page.locator("#turn"))
        page.go_back()
        page.wait_for_selector("#scenes a")


def test_dark_and_light_are_the_systems_or_chosen_and_remembered(shown: Store, opened: Any) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    page = opened(color_scheme="dark")
    dark = page.evaluate(background)
    assert dark != "rgb(255, 255, 255)" and page.get_by_role("button", name="Dark", pressed=True).is_visible()
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    page.get_by_role("link", name="bus_10").click()
    page.wait_for_selector("h1")
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('none'); } })")
    page.reload()
    assert page.evaluate(background) == dark
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(background) == "rgb(255, 255, 255)"


def test_nothing_moves_by_itself_where_that_is_not_wanted(shown: Store, opened: Any) -> None:
    page = opened(reduced_motion="reduce")
    page.get_by_role("link", name="bus_2").focus()
    page.keyboard.press("Tab")
    page.wait_for_timeout(300)
    image = page.locator("#scenes :focus img")
    assert image.get_attribute("data-offset") is None
    page.keyboard.press("ArrowRight")
    assert image.get_attribute("data-offset") == "1"


def test_without_scripts_there_is_a_list_of_links_and_pages_are_whole(shown: Store, opened: Any) -> None:
    page = opened(java_script_enabled=False)
    links = page.get_by_role("main").get_by_role("link")
    assert links.count() == 10 and not page.get_by_label("Search").is_visible()
    page.get_by_role("link", name="bus_10").click()
    assert page.get_by_role("img", name="bus_10, rendered").is_visible()


def test_a_thousand_scenes_scroll(
    store: Store, learnt: list[LearntScene], opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    store.add([replace(learnt[i % 3], record=Record(f"scene_{i:04d}")) for i in range(1000)], "int4")
    some, files = torch.rand(24, 3, 48, 48, generator=torch.Generator().manual_seed(0)), {}

    def encode(picture: np.ndarray, *options: Any) -> bytes:
        if picture.shape not in files:
            files[picture.shape] = encoded(picture, *options)
        return files[picture.shape]

    monkeypatch.setattr(rendering, "encoded", encode)
    monkeypatch.setattr(StoredScene, "render", lambda _, view: some[: len(view)])
    monkeypatch.setattr(os, "fsync", lambda _: None)  # nothing is lost with a test's files
    write_gallery(Store(store.folder), tmp_path / "out", None, Options(views=1, size=48))
    page = opened()
    wait_for_hits(page, "1,003 scenes")
    found = page.evaluate(SCROLL)
    with capsys.disabled():
        print(f"\n1,003 scenes scroll: a frame takes {found['median']:.1f} ms, 95 % at most {found['late']:.1f} ms")
    assert found["nodes"] < 1500 and found["median"] < 1000
    assert names_of(page)[-1] == "van"
    page.wait_for_function("() => document.querySelector('#scenes li:last-child img').naturalWidth > 0")
    page.locator("#scenes a").last.focus()
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function("() => document.querySelector('#scenes .name').textContent === 'bus'")
    assert page.evaluate("document.activeElement.textContent").startswith("van")  # keys go on from there
