"""The live panel draws when there is someone to look, follows the active scene, and ends nothing."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.learning.curves import Curves
from tda_nerfstudio.learning.live import Sight
from tda_nerfstudio.plugin.viewer import live_panel
from tda_nerfstudio.plugin.viewer.live_panel import LivePanel, panel_pictures


class StandInLive:
    """Sees blank images of whatever scene is active."""

    def __init__(self) -> None:
        self.active, self.step, self.looks, self.error = "car", 0, 0, None
        self.curves = Curves()

    def scene(self) -> str:
        return self.active

    def look(self) -> Sight:
        self.looks += 1
        if self.error is not None:
            raise self.error
        images = {name: torch.ones(3, 8, 8) for name in ("truth", "decoded")}
        return Sight(self.step, self.active, "r_000", True, images, {"decoded": 20.0}, {"encoded": 0.1})

    def losses(self) -> dict:
        return {"rgb": ([0, 1], [1.0, 0.5])}

    def shares(self, scene: str) -> dict:
        return {}


class StandInGui:
    """Keeps the elements that were added."""

    def __init__(self) -> None:
        self.elements, self.folders = [], []

    def add_folder(self, label: str, **options) -> nullcontext:
        self.folders.append((label, options))
        return nullcontext()

    def add_markdown(self, content: str, **options) -> SimpleNamespace:
        self.elements.append(SimpleNamespace(content=content, **options))
        return self.elements[-1]


@pytest.fixture
def panel(monkeypatch: pytest.MonkeyPatch):
    """A panel in a viewer that nobody looks at yet, whose thread does not run."""
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)
    monkeypatch.setattr(threading.Thread, "join", lambda self, patience=None: None)
    made, clients = LivePanel(StandInLive()), {}  # type: ignore[arg-type]
    server = SimpleNamespace(gui=StandInGui(), get_clients=lambda: clients, atomic=nullcontext)
    viewer = SimpleNamespace(
        viser_server=server, trainer=object(), train_lock=threading.Lock(), stats_markdown=SimpleNamespace(order=3.0)
    )
    made._setup(viewer)  # type: ignore[arg-type]
    made.clients = clients  # type: ignore[attr-defined]
    yield made
    made.stop()


def test_it_has_a_folder_of_its_own_below_the_buttons(panel) -> None:
    ((label, options),) = panel.viser_server.gui.folders
    assert label == "Live" and 3 < options["order"] < 4 and options["expand_by_default"]


def test_it_looks_at_nothing_while_nobody_is_there(panel) -> None:
    panel._update()
    assert panel.live.looks == 0
    panel.clients[0] = object()
    panel._update()
    assert panel.live.looks == 1
    assert all("data:image/svg+xml" in element.content for element in panel.viser_server.gui.elements)


def test_it_rests_between_updates_but_follows_another_scene_at_once(panel) -> None:
    panel.clients[0] = object()
    panel._update()
    panel._update()
    assert panel.live.looks == 1  # nothing new
    panel.live.step = 5
    panel._update()
    assert panel.live.looks == 1  # too soon
    panel.live.active = "bus"
    panel._update()
    assert panel.live.looks == 2
    panel.live.step, panel._rest_until = 6, 0.0
    panel._update()
    assert panel.live.looks == 3


def test_slow_looks_make_longer_rests(panel, monkeypatch: pytest.MonkeyPatch) -> None:
    panel.clients[0], look = object(), panel.live.look
    monkeypatch.setattr(panel.live, "look", lambda: [time.sleep(0.1), look()][1])
    for step in (1, 2):  # the first one may have had much to prepare
        panel.live.step, panel._rest_until = step, 0.0
        panel._update()
    assert panel._rest_until - time.monotonic() > live_panel.SHARE * 0.1 - 0.5


def test_it_holds_the_lock_of_training_only_while_it_looks(panel, monkeypatch: pytest.MonkeyPatch) -> None:
    panel.clients[0], look, lock, held = object(), panel.live.look, panel.viewer.train_lock, []
    monkeypatch.setattr(panel.live, "look", lambda: [held.append(lock.locked()), look()][1])
    monkeypatch.setattr(panel, "_draw", lambda sight: held.append(lock.locked()))
    panel._update()
    assert held == [True, False]


def test_a_viewer_without_training_has_no_lock(panel) -> None:
    panel.viewer.train_lock, panel.clients[0] = None, object()
    panel._update()
    assert panel.live.looks == 1


def test_an_error_is_said_once_and_ends_nothing(panel, monkeypatch, capsys: pytest.CaptureFixture) -> None:
    panel.clients[0], panel.live.error = object(), TdaError("The image r_000 is damaged.")
    waits = iter([False, False, True])
    monkeypatch.setattr(panel._leaving, "wait", lambda seconds: [setattr(panel, "_rest_until", 0.0), next(waits)][1])
    panel._watch()
    assert panel.live.looks == 2 and not panel.viewer.train_lock.locked()
    said = " ".join(capsys.readouterr().out.split())
    assert said == "The viewer's live panel cannot be drawn. TdaError: The image r_000 is damaged."


def test_the_thread_ends_when_it_is_told_to() -> None:
    panel = LivePanel(StandInLive())  # type: ignore[arg-type]
    server = SimpleNamespace(gui=StandInGui(), get_clients=dict, atomic=nullcontext)
    stats = SimpleNamespace(order=0.0)
    panel._setup(SimpleNamespace(viser_server=server, trainer=None, train_lock=None, stats_markdown=stats))  # type: ignore[arg-type]
    assert panel._thread is not None and panel._thread.is_alive() and panel._thread.daemon
    panel.stop()
    assert not panel._thread.is_alive()


def test_pictures_say_how_close_they_are() -> None:
    images = {name: torch.ones(3, 8, 8) for name in ("truth", "encoded", "rendered", "decoded", "reconstructed")}
    sight = Sight(1, "car", "r_000", True, images, {"decoded": 20.04, "reconstructed": 100.0}, {})
    named = [(picture.caption, picture.note) for picture in panel_pictures(sight)]
    assert named[3:] == [("decoded", "20.0 dB"), ("autoencoder alone", "exact")]
    started = Sight(1, "car", "r_000", True, images | {"started": images["truth"]}, {"started": 30.0}, {})
    named = [(picture.caption, picture.note) for picture in panel_pictures(started)]
    assert named[4:] == [("autoencoder: start", "30.0 dB"), ("autoencoder: now", "")]
