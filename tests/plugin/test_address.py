"""Where the viewer is, and who can reach it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tda_nerfstudio.plugin.viewer.address import where_to_look


def viewer(host: str, *said: str) -> SimpleNamespace:
    server = SimpleNamespace(get_port=lambda: 7008)
    return SimpleNamespace(config=SimpleNamespace(websocket_host=host), viser_server=server, viewer_info=list(said))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_viewer_of_this_machine_is_one_line(host: str, capsys: pytest.CaptureFixture) -> None:
    where_to_look(viewer(host, f"Viewer running locally at: http://{host}:7008"), "viewer+tensorboard")
    assert capsys.readouterr().out == "Viewer: http://localhost:7008\n"


def test_a_viewer_that_others_reach_comes_with_a_warning(capsys: pytest.CaptureFixture) -> None:
    where_to_look(viewer("0.0.0.0"), "viewer+tensorboard")
    text = " ".join(capsys.readouterr().out.split())
    assert text == (
        "Viewer: http://localhost:7008 It listens at 0.0.0.0: anyone on that network can look, use this machine's"
        " time, save camera paths beside the data, and read your files (viser 0.2.7 gives them out). For this machine"
        " alone, leave out --viewer.websocket-host."
    )


def test_a_shared_viewer_names_its_address(capsys: pytest.CaptureFixture) -> None:
    where_to_look(
        viewer("127.0.0.1", "Viewer at: http://localhost:7008 or https://abc.share.viser.studio"), "viewer+wandb"
    )
    assert capsys.readouterr().out == "Viewer: http://localhost:7008 or https://abc.share.viser.studio\n"


def test_without_a_viewer_nothing_is_said(capsys: pytest.CaptureFixture) -> None:
    where_to_look(None, "tensorboard")
    assert capsys.readouterr().out == ""


def test_a_viewer_alone_looks_at_no_held_out_views(capsys: pytest.CaptureFixture) -> None:
    where_to_look(viewer("127.0.0.1"), "viewer")
    said = capsys.readouterr().out.splitlines()
    assert said == ["With --vis viewer no held-out view is scored before the end.", "Viewer: http://localhost:7008"]
