"""The viewer over a store: nothing pretends to train, and the line that it gives works."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tda_nerfstudio.core.errors import TdaError
from tda_nerfstudio.plugin.stored_pipeline import StoredPipeline
from tda_nerfstudio.plugin.viewer import view_store
from tda_nerfstudio.store.store import Store


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def viewer(store: Store, tmp_path: Path):
    (tmp_path / "here").mkdir()
    shown = view_store.start_viewer(StoredPipeline(store), free_port(), "127.0.0.1", tmp_path / "here")
    yield shown
    shown.viser_server.stop()


def test_what_is_about_training_is_hidden(viewer, store: Store) -> None:
    assert not viewer.pause_train.visible and not viewer.resume_train.visible
    panel = viewer.control_panel
    assert not panel._train_speed.gui_handle.visible and not panel._train_util.gui_handle.visible
    assert panel._max_res.gui_handle.visible and viewer.hide_images.visible
    where = f"{store.folder.parent.name}/{store.folder.name}"
    assert viewer.stats_markdown.content == f"Store {where}, 3 scenes  \nResolution: 0x0px"
    viewer.stats_markdown.content = viewer.make_stats_markdown(None, "10x20px")
    viewer.update_step(7)
    assert viewer.stats_markdown.content == f"Store {where}, 3 scenes  \nResolution: 10x20px"


def test_the_render_tab_s_line_names_a_config_through_which_ns_render_reads_the_scene_that_is_shown(
    viewer, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nerfstudio.utils.eval_utils import eval_setup

    assert viewer.datapath == tmp_path / "here"  # below which the tab keeps camera paths
    config = viewer.log_filename.parent / "config.yml"  # what the tab's line names
    assert config.is_relative_to(tmp_path / "here" / "camera_paths") and config.is_file()
    (control,) = viewer.viewer_controls
    control._switch(SimpleNamespace(value="cab"))
    for scene in ("cab", "van"):
        if scene == "van":
            monkeypatch.setenv("TDA_SCENE", "van")
        _, pipeline, *_ = eval_setup(config, test_mode="inference")
        seen = pipeline.model.get_outputs_for_camera(pipeline.datamanager.train_dataset.cameras[1:2])["rgb"]
        torch.testing.assert_close(seen, store[scene].render(store.orbit(8))[1].permute(1, 2, 0), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("host", "shown", "warned"), [("127.0.0.1", "127.0.0.1", False), ("0.0.0.0", "localhost", True)]
)
def test_one_line_says_where_to_look_and_one_warns_of_a_network(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, host: str, shown: str, warned: bool
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    servers, start, port = [], view_store.start_viewer, free_port()
    monkeypatch.setattr(view_store, "start_viewer", lambda *given: servers.append(start(*given)) or servers[-1])
    monkeypatch.setattr(view_store, "time", SimpleNamespace(sleep=interrupt))
    monkeypatch.chdir(tmp_path)
    view_store.view_store(store.folder, port, host)
    servers[0].viser_server.stop()
    text = " ".join(capsys.readouterr().out.split())
    line = f"Store {store.folder}, 3 scenes: look at http://{shown}:{port} (Ctrl-C closes the viewer)."
    assert text.startswith(line) and text.endswith("The viewer is closed.") and text.count("http") == 1
    assert ("anyone on that network can look" in text) == warned


def test_where_nothing_can_be_written_camera_paths_are_kept_elsewhere(store: Store, monkeypatch, capsys) -> None:
    from contextlib import ExitStack

    def refuse(folder: Path) -> None:
        raise TdaError("Nothing can be written.")

    monkeypatch.setattr(view_store, "require_writable", refuse)
    with ExitStack() as stack:
        place = view_store._place(stack)
        assert place.is_dir() and place != Path.cwd()
    assert not place.exists() and "Camera paths are lost when the viewer closes." in capsys.readouterr().out


def test_a_run_without_a_store_is_told_the_line_that_shows_it(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text("")
    line = f"ns-viewer --load-config {tmp_path}/config.yml --viewer.websocket-host 127.0.0.1"
    for source in (tmp_path, tmp_path / "config.yml"):
        with pytest.raises(TdaError) as refused:
            view_store.find_store(source)
        assert str(refused.value).endswith(line) and f"The run {tmp_path} has no store" in str(refused.value)
    with pytest.raises(TdaError, match="is no store: it has no manifest.json"):
        view_store.view_store(tmp_path / "none", None, "127.0.0.1")
