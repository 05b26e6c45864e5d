"""The controls of a tab, without a browser: what is found, shown, compared, blended and taken along."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_gui import Client
from PIL import Image

from tda_nerfstudio.looking.look import Look
from tda_nerfstudio.looking.painting import paint
from tda_nerfstudio.looking.shelf import Shelf
from tda_nerfstudio.looking.source import StoreSource
from tda_nerfstudio.looking.viewer import camera
from tda_nerfstudio.looking.viewer.finder import LISTED, Finder
from tda_nerfstudio.looking.viewer.panel import Panel
from tda_nerfstudio.store.learnt_scene import LearntScene, Record
from tda_nerfstudio.store.store import Store

HOSTILE = "<script>alert('x')</script>{1+1} [a](b) `c` " + "w" * 140


@pytest.fixture
def shelf(store: Store) -> Shelf:
    store.put_aside("wreck", "It diverged: its numbers are not finite.", {})
    return Shelf(StoreSource(Store(store.folder)))


@pytest.fixture
def tab(shelf: Shelf) -> tuple[Client, Panel, list]:
    client, changes = Client(), []
    panel = Panel(client, shelf, lambda: changes.append(1))
    return client, panel, changes


def test_words_of_a_name_find_scenes_and_the_number_of_hits_is_said(tab) -> None:
    client, panel, changes = tab
    assert panel.look.scene == "bus" and "1 of 4 hits, 4 scenes in all" in client.gui.said()
    client.gui["Find scene"].by_hand("A")
    assert "1 of 2 hits" in client.gui.said() and panel.look.scene == "cab" and len(changes) == 1
    client.gui["Find scene"].by_hand("zebra")
    assert "0 hits, 4 scenes in all" in client.gui.said() and panel.look.scene == "cab"
    assert client.gui["Scene"].options == ("(nothing found)",)
    client.gui["Find scene"].by_hand("")
    assert client.gui["Scene"].options == ("bus", "cab", "van", "wreck (put aside)")
    client.gui["Scene"].by_hand("van")
    assert panel.look.scene == "van" and "**van**" in client.gui.said()


def test_steps_go_round_and_any_is_one_of_the_hits(tab) -> None:
    client, panel, _ = tab
    steps = client.gui["Prev/Next/Any"]
    seen = [panel.look.scene]
    for _ in range(4):
        steps.by_hand("Next")
        seen.append(panel.look.scene)
    assert seen == ["bus", "cab", "van", "wreck", "bus"]
    steps.by_hand("Prev")
    assert panel.look.scene == "wreck" and "put aside: It diverged" in client.gui.said()
    client.gui["Find scene"].by_hand("bu")
    steps.by_hand("Any")
    assert panel.look.scene == "bus"


def test_a_drop_down_never_holds_a_thousand_entries_and_follows_the_scene(shelf: Shelf, monkeypatch) -> None:
    names = [f"scene_{k:04d}" for k in range(1000)]
    monkeypatch.setattr(shelf.source, "names", names)
    monkeypatch.setattr(shelf.source, "record", Record)
    monkeypatch.setattr(shelf.source, "facts", lambda name: {})
    client, chosen = Client(), []
    finder = Finder(client.gui, shelf, names[500], chosen.append)
    assert len(finder.list.options) == LISTED and names[500] in finder.list.options
    finder.steps.by_hand("Next")
    assert chosen == [names[501]] and finder.list.value == names[501]
    finder.search.by_hand("scene 99")
    assert "19 hits" in client.gui.said() and finder.name == "scene_0099"


def test_scenes_are_sorted_by_quality_and_by_date(store: Store, learnt: list[LearntScene], tmp_path: Path) -> None:
    for name, quality in (("cab", 30.0), ("van", None)):
        scene = next(one for one in learnt if one.record.name == name)
        metrics = {} if quality is None else {"psnr": quality}
        store.add([replace(scene, record=replace(scene.record, metrics=metrics))], "fp32")
    shelf = Shelf(StoreSource(Store(store.folder)))
    assert shelf.find("", "best first") == ["cab", "bus", "van"]
    assert shelf.find("", "worst first") == ["bus", "cab", "van"]
    assert shelf.find("", "newest first") == ["van", "cab", "bus"]


def test_names_are_shown_letter_by_letter_whatever_they_hold(store: Store, learnt: list[LearntScene]) -> None:
    name = HOSTILE.replace("/", "|")
    store.add([replace(learnt[0], record=replace(learnt[0].record, name=name, provenance={"<b>": "{x}"}))], "fp32")
    client = Client()
    Panel(client, Shelf(StoreSource(Store(store.folder))), lambda: None, name)
    said = client.gui.said()
    assert "<" not in said and "{" not in said and "`" not in said and "[" not in said
    assert "&#60;script&#62;alert" in said and "&#123;x&#125;" in said


def test_outputs_planes_and_channels_change_the_look(tab) -> None:
    client, panel, changes = tab
    gui = client.gui
    assert gui["Output"].options == ("decoded image", "latent", "depth", "normals", "accumulation")
    assert not gui["Channel"].visible
    gui["Output"].by_hand("latent")
    gui["Channel"].by_hand(2)
    gui["Planes"].by_hand("macro alone")
    assert gui["Channel"].visible
    assert panel.look == Look("bus", "latent", 1, other="cab", parts="macro") and len(changes) == 3
    gui["Longest side"].by_hand(256)
    assert panel.longest == 256 and len(changes) == 4


def test_two_scenes_are_compared_and_blended(tab) -> None:
    client, panel, _ = tab
    gui = client.gui
    gui["Find scene B"].by_hand("van")
    gui["Picture"].by_hand("A | B in one picture")
    gui["Line"].by_hand(0.25)
    gui["Blend A to B"].by_hand(0.5)
    assert panel.look == Look("bus", other="van", mode="wipe", split=0.25, share=0.5) and gui["Line"].visible
    gui["Scene"].by_hand("cab")
    gui["Take the scene that is shown as B"].by_hand()
    assert panel.look.other == "cab"


def test_components_are_named_by_the_scenes_at_their_ends(tab, shelf: Shelf) -> None:
    client, panel, _ = tab
    gui = client.gui
    assert not gui["Component 1"].visible
    gui["Find what varies most"].by_hand()
    shares = [one.share for one in shelf.components]
    assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(1) and len(shares) == 2
    assert gui["Component 2"].visible and not gui["Component 3"].visible
    first = shelf.components[0]
    assert f"1: {shares[0]:.0%} of what varies, from {first.low} to {first.high}" in gui.said()
    gui["Component 1"].by_hand(1.5)
    assert panel.look.components == (1.5, 0, 0, 0, 0)
    own = shelf.sight(Look("bus"))[1]
    moved, expected = shelf.sight(panel.look)[1], shelf.source.learnt("bus").weights + 1.5 * first.axis
    base = shelf.source.parts.scenes.base
    torch.testing.assert_close(moved[..., 3:] - own[..., 3:], ((expected - shelf.source.learnt("bus").weights)
                               @ base.flatten(1)).view_as(own[..., 3:]), rtol=0, atol=1e-5)  # fmt: skip
    gui["Back to the scene's own"].by_hand()
    assert panel.look.components == (0.0,) * 5


def test_a_picture_and_a_turn_are_offered_for_download(tab, shelf: Shelf, tmp_path: Path, monkeypatch) -> None:
    import imageio.v2 as imageio

    from tda_nerfstudio.looking.viewer import taking

    client, panel, _ = tab
    monkeypatch.setattr(taking, "FRAMES", 3)
    client.gui["Pixels"].by_hand(128)
    client.gui["PNG/Turn as MP4"].by_hand("PNG")
    (name, content), = client.files.items()  # fmt: skip
    view = camera.read(client.camera, 128)
    assert name.startswith("bus_") and name.endswith(".png")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), paint(shelf, panel.look, view))
    client.gui["PNG/Turn as MP4"].by_hand("Turn as MP4")
    (tmp_path / "turn.mp4").write_bytes(next(c for name, c in client.files.items() if name.endswith(".mp4")))
    assert len(list(imageio.get_reader(tmp_path / "turn.mp4").iter_data())) == 3
    assert "downloads" in client.gui.said() and not client.gui["bar"].visible


def test_the_python_that_it_gives_makes_the_same_picture(tab, shelf: Shelf, tmp_path: Path) -> None:
    client, panel, _ = tab
    client.gui["Pixels"].by_hand(128)
    client.gui["Blend A to B"].by_hand(0.3)
    client.gui["Output"].by_hand("normals")
    client.gui["As Python"].by_hand()
    assert "```python" in client.gui.said()
    done = subprocess.run([sys.executable, "-c", client.files["view.py"].decode()], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    expected = paint(shelf, panel.look, camera.read(client.camera, 128)).astype(int)
    assert abs(np.asarray(Image.open(tmp_path / "view.png")).astype(int) - expected).mean() < 0.5


def test_what_fails_is_said_and_the_tab_goes_on(tab, monkeypatch: pytest.MonkeyPatch) -> None:
    from tda_nerfstudio.looking.viewer import taking

    client, _, _ = tab
    monkeypatch.setattr(taking, "paint", lambda *_: (_ for _ in ()).throw(RuntimeError("no {memory}")))
    client.gui["PNG/Turn as MP4"].by_hand("PNG")
    assert "That failed&#46; no &#123;memory&#125;" in client.gui.said() and not client.files


def test_a_camera_is_read_as_it_stands_and_turns_around_what_it_looks_at() -> None:
    client = Client()
    view = camera.read(client.camera, 500)
    assert (view.width, view.height) == (500, 400)
    torch.testing.assert_close(
        view.c2w[0], torch.tensor([[1.0, 0, 0, 0], [0, 0, -1, -3], [0, 1, 0, 0]]), rtol=0, atol=1e-6
    )
    assert float(view.fx) == pytest.approx(200 / np.tan(0.4)) and float(view.cx) == 250
    camera.turn(client.camera, 90.0)
    assert client.camera.position == pytest.approx([3, 0, 0]) and client.camera.look_at == pytest.approx([0, 0, 0])
    client.camera.aspect = 0.5
    tall = camera.read(client.camera, 400)
    assert (tall.width, tall.height) == (200, 400)


def test_a_tab_starts_where_the_images_were_taken_from(shelf: Shelf) -> None:
    client = Client()
    camera.start(client, shelf.source, 10.0)
    middle = shelf.source.parts.scenes.box.mean(0).numpy() * 10
    assert client.camera.look_at == pytest.approx(middle)
    away = np.linalg.norm(client.camera.position - middle)
    assert away == pytest.approx(10 * shelf.source.camera.distance)
    assert client.camera.position[1] < middle[1] and client.camera.position[2] > middle[2]  # in front and above
