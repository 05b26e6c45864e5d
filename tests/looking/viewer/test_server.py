"""The server: where it listens, what it gives out, and how it ends."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from fake_gui import Client

from tda_nerfstudio.base.errors import StoreError, TdaError
from tda_nerfstudio.looking.shelf import Shelf
from tda_nerfstudio.looking.source import StoreSource
from tda_nerfstudio.looking.viewer import server, tab
from tda_nerfstudio.looking.viewer.address import browser_address, free_port
from tda_nerfstudio.looking.viewer.server import Viewer, serve
from tda_nerfstudio.store.store import Store


@pytest.fixture
def viewer(store: Store):
    found = Viewer(Shelf(StoreSource(store)))
    yield found
    found.close()


def raw(port: int, path: str) -> bytes:
    """Ask for a path as it is written, which libraries tidy up."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_the_page_is_served_and_loads_nothing_from_elsewhere(viewer: Viewer) -> None:
    page = urllib.request.urlopen(viewer.address).read().decode()
    assert "https://" not in page and "gtag" not in page
    assert "This viewer draws with WebGL" in page and "<noscript>This viewer needs JavaScript" in page
    script = page.split('src="/assets/')[1].split('"')[0]
    assert len(urllib.request.urlopen(f"{viewer.address}/assets/{script}").read()) > 100_000


def test_no_path_leads_to_another_file_of_the_machine(viewer: Viewer) -> None:
    up = "/.." * 12
    for path in (
        f"{up}{Path(__file__).resolve()}",
        f"{up}/etc/passwd",
        "/assets/../../../../_viser.py",
        "//etc/passwd",
    ):
        answer = raw(viewer.port, path)
        assert b" 404 " in answer.split(b"\r\n")[0] or b"200" not in answer.split(b"\r\n")[0], path
        assert b"root:" not in answer and b"import" not in answer
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{viewer.address}/nothing")


def test_a_title_of_markup_is_a_title(store: Store) -> None:
    source = StoreSource(store)
    source.title = "</title><script>alert(1)</script>"
    viewer = Viewer(Shelf(source))
    page = urllib.request.urlopen(viewer.address).read().decode()
    viewer.close()
    assert "alert(1)</script>" not in page and "&lt;script&gt;alert(1)" in page


def test_a_port_that_is_taken_is_said_and_the_next_one_serves(store: Store, monkeypatch, capsys) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(server.time, "sleep", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        serve(Shelf(StoreSource(store)), port)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Port {port} is taken." and "3 scenes (Ctrl-C closes the viewer):" in lines[1]
    assert int(lines[2].rsplit(":", 1)[1]) > port and lines[-1] == "The viewer is closed."


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_an_address_that_others_reach_is_warned_of_and_the_one_to_open_comes_last(
    store: Store, monkeypatch, capsys, host: str, warned: bool
) -> None:
    opened = []
    monkeypatch.setattr(server.webbrowser, "open", opened.append)
    monkeypatch.setattr(server.time, "sleep", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    serve(Shelf(StoreSource(store)), None, host, open_browser=True)
    text = capsys.readouterr().out
    said = text.splitlines()[-2]
    assert said.startswith("http://127.0.0.1:") and opened == [said] and text.count("http") == 1
    assert ("anyone on that network can look" in " ".join(text.split())) == warned


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [
        ("127.0.0.1", 99999999, "--port must be from 1 to 65535, not 99999999. Without it a free one is found."),
        ("127.0.0.1", 0, "--port must be from 1 to 65535, not 0."),
        ("999.1.1.1", None, "Nothing can listen at --host 999.1.1.1 ("),
        ("192.0.2.1", None, "Give an address of this machine, such as 127.0.0.1, and a port that is free"),
        ("a" * 70, None, "Nothing can listen at --host aaaa"),
    ],
)
def test_an_address_where_nothing_can_listen_is_refused(store: Store, host: str, port: int | None, text: str) -> None:
    with pytest.raises(TdaError) as refused:
        Viewer(Shelf(StoreSource(store)), port, host)
    assert text in str(refused.value)


def test_addresses_of_the_sixth_version_are_written_in_brackets() -> None:
    assert browser_address("::1", 7) == "http://[::1]:7" and browser_address("::", 7) == "http://127.0.0.1:7"
    assert free_port("127.0.0.1") >= 7007


def test_a_store_without_scenes_and_one_with_damaged_parts_are_refused(store: Store) -> None:
    path = store.folder / "shared.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"~")
    with pytest.raises(StoreError, match="shared.safetensors"):
        Viewer(Shelf(StoreSource(Store(store.folder))))
    for name in list(store):
        store.remove(name)
    with pytest.raises(TdaError, match="holds no scenes yet. Learn some"):
        Viewer(Shelf(StoreSource(Store(store.folder))))


def test_a_tab_paints_goes_on_after_an_error_and_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    painted, real = [], tab.paint

    def paint(shelf, look, view, quick):
        painted.append((look.scene, quick))
        if len(painted) == 1:
            raise RuntimeError("once")
        return real(shelf, look, view, quick)

    monkeypatch.setattr(tab, "paint", paint)
    client = Client()
    thread = tab.Tab(client, Shelf(StoreSource(store)))  # type: ignore[arg-type]
    thread.start()
    wait(lambda: len(client.pictures) >= 2)
    assert painted[:2] == [("bus", True), ("bus", False)]  # moving, then at rest
    client.gui["Prev/Next/Any"].by_hand("Next")
    wait(lambda: painted[-1] == ("cab", False) and len(client.pictures) == len(painted))
    time_of_rest = len(painted)
    assert "Moving: " in client.gui.said() and client.pictures[-1].shape == (410, 512, 3)
    assert threading.active_count() > 1 and len(painted) == time_of_rest  # at rest nothing is painted
    thread.close()
    assert not thread.is_alive()


def test_a_damaged_scene_says_so_in_its_picture_and_others_work(store: Store) -> None:
    path = store.file("cab").path
    path.write_bytes(path.read_bytes()[:-1] + b"~")
    client = Client()
    thread = tab.Tab(client, Shelf(StoreSource(Store(store.folder))))  # type: ignore[arg-type]
    thread.start()
    client_gui_ready = lambda: any(handle.label == "Scene" for handle in client.gui.handles)  # noqa: E731
    wait(client_gui_ready)
    shown = lambda: (client.pictures[-1] != 255).any(2).mean() if client.pictures else 0  # noqa: E731
    wait(lambda: shown() > 0.1)
    client.gui["Scene"].by_hand("cab")
    wait(lambda: 0 < shown() < 0.1)  # a few words on white
    client.gui["Scene"].by_hand("van")
    wait(lambda: shown() > 0.1)
    thread.close()


def wait(until) -> None:
    """Wait half a minute for something."""
    import time

    deadline = time.monotonic() + 30
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.02)
