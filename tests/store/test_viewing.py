"""The viewer over a store: nothing pretends to train, and the line that it gives works."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.plugin.open_run import open_run
from tda_nerfstudio.plugin.stored_pipeline import StoredPipeline
from tda_nerfstudio.plugin.viewer import view_store
from tda_nerfstudio.store.store import Store
from tda_nerfstudio.studies.render_video import open_source


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
    warning = "save camera paths here. For this machine alone, leave out --host."
    assert ("anyone on that network can look" in text) == (warning in text) == warned


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
    with pytest.raises(TdaError, match="none does not exist. Give the folder of a store, or of a run of tda-scenes."):
        view_store.view_store(tmp_path / "none", None, "127.0.0.1")


def test_a_file_that_is_no_config_is_neither_a_store_nor_a_run(store: Store, tmp_path: Path) -> None:
    assert store.folder == tmp_path / "store"  # beside the file, where a run's store would be
    (tmp_path / "afile").write_text("nothing")
    with pytest.raises(TdaError, match="afile is neither a store nor a run's config.yml. Give the folder of a store"):
        view_store.view_store(tmp_path / "afile", None, "127.0.0.1")
    with pytest.raises(TdaError, match="afile is neither a store nor a run"):
        open_source(tmp_path / "afile")
    with pytest.raises(TdaError, match="afile is not a run's config.yml. Give the one of a run"):
        open_run(tmp_path / "afile")


def test_a_copy_of_a_config_by_another_name_is_one(store: Store, tmp_path: Path) -> None:
    (tmp_path / "edited.yml").write_text("# mine\n!!python/object:tda_nerfstudio.plugin.tda_trainer.TdaTrainerConfig\n")
    assert view_store.find_store(tmp_path / "edited.yml") == store.folder


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [
        ("127.0.0.1", 99999999, "--port must be from 1 to 65535, not 99999999. Without it a free one is found."),
        ("127.0.0.1", -1, "--port must be from 1 to 65535, not -1."),
        ("127.0.0.1", 0, "--port must be from 1 to 65535, not 0."),
        ("999.1.1.1", None, "Nothing can listen at --host 999.1.1.1 ("),
        ("192.0.2.1", None, "Give an address of this machine, such as 127.0.0.1, and a port that is free"),
        ("a" * 70, None, "Nothing can listen at --host aaaa"),
    ],
)
def test_an_address_where_nothing_can_listen_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch, host: str, port: int | None, text: str
) -> None:
    monkeypatch.setattr(view_store, "start_viewer", lambda *given: pytest.fail("the viewer began"))
    with pytest.raises(TdaError) as refused:
        view_store.view_store(store.folder, port, host)
    assert text in str(refused.value)


def test_a_named_port_that_is_taken_is_refused(store: Store) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TdaError, match=f"Nothing can listen at --host 127.0.0.1 --port {port}"):
            view_store.check_address("127.0.0.1", port)
    view_store.check_address("127.0.0.1", None)
