"""Videos of scenes: what is refused before the work, camera paths, and damaged scenes among others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tda_nerfstudio.plugin.stored_pipeline import store_of

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.store.store import Store
from tda_nerfstudio.studies import render_video as video
from tda_nerfstudio.studies.render_video import open_source, read_camera_path, render_video
from tda_nerfstudio.studies.report.page import write_report
from tda_nerfstudio.studies.sheet import draw_sheet
from tda_nerfstudio.studies.weight_curve import draw_curve


def frames(path: Path) -> np.ndarray:
    import imageio.v2 as imageio

    return np.stack(list(imageio.get_reader(path).iter_data())).astype(float)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ("rgb", "normals")}, "There is no output 'normals'. Scenes have rgb, latent, depth, accumulation."),
        ({"names": ("dept",)}, "Did you mean 'depth'?"),
        ({"names": ()}, "There is no output 'none'. Scenes have rgb"),
        ({"frames": 0}, "--frames is 0. Give a whole number of 1 or more."),
        ({"size": -1}, "--size is -1"),
        ({"elevation": float("nan")}, "--elevation is nan. Give a finite number of degrees above the horizon."),
        ({"fps": 0}, "--fps is 0"),
        ({"output": "turn"}, "The output turn has no suffix: what kind of file is it to be? Name it turn.mp4"),
        ({"output": "turn.png"}, "The output turn.png ends in '.png': what kind of file is it to be? Name it turn.mp4"),
        ({"output": "."}, "The output . is a folder"),
        ({"output": "file/turn.mp4"}, "Nothing can be written to file"),
        ({"camera_path": Path("none.json")}, "The camera path none.json does not exist. Save one in the viewer's"),
    ],
)
def test_what_cannot_be_shown_or_written_is_refused_before_the_work(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict, message: str
) -> None:
    monkeypatch.setattr(video, "open_source", lambda source: pytest.fail("the work began"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("no folder")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(TdaError) as refused:
        render_video(store.folder, "van", **{"output": Path(options.pop("output", "turn.mp4")), **options})
    assert message in str(refused.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (lambda output: draw_sheet(Path("none"), output), "x.png"),
        (lambda output: write_report([Path("none")], output), "x.html"),
        (lambda output: draw_curve(Path("none"), Path("none"), output, 3), "x.png"),
    ],
)
def test_every_output_says_by_its_suffix_what_it_is(write: Callable, name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TdaError, match=f"The output x has no suffix: .* Name it {name}, for example."):
        write(Path("x"))
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(TdaError, match="Nothing can be written to file"):
        write(Path("file") / name)


@pytest.mark.parametrize("scenes", [0, -1])
def test_a_sheet_needs_a_scene(tmp_path: Path, scenes: int) -> None:
    with pytest.raises(TdaError, match=f"--scenes is {scenes}. Give a whole number of 1 or more."):
        draw_sheet(Path("none"), tmp_path / "sheet.png", scenes)


@pytest.fixture
def drawn(store: Store, tmp_path: Path) -> Path:
    """Two cameras of the store's orbit, as nerfstudio's render tab writes them."""
    view = store.orbit(2)
    cameras = [
        {"camera_to_world": [*pose.flatten().tolist(), 0.0, 0.0, 0.0, 1.0], "fov": 43.60281897270362, "aspect": 1.0}
        for pose in view.c2w  # 2 atan(8 / 20)
    ]
    sizes = {"camera_type": "perspective", "render_height": 16, "render_width": 16, "fps": 2.0, "seconds": 1.0}
    (tmp_path / "path.json").write_text(json.dumps(sizes | {"camera_path": cameras}))
    return tmp_path / "path.json"


def test_a_camera_path_of_the_viewer_is_rendered(store: Store, drawn: Path, tmp_path: Path) -> None:
    import imageio.v2 as imageio

    view, fps = read_camera_path(drawn)
    assert fps == 2 and (view.width, view.height) == (16, 16) and view.fx.tolist() == pytest.approx([20.0] * 2)
    path = render_video(store.folder, "van", tmp_path / "van.mp4", camera_path=drawn)
    assert imageio.get_reader(path).get_meta_data()["fps"] == 2
    expected = store["van"].render(store.orbit(2)).permute(0, 2, 3, 1).numpy() * 255
    assert frames(path).shape == (2, 16, 16, 3) and abs(frames(path) - expected).mean() < 12
    large = render_video(store.folder, "van", tmp_path / "large.mp4", camera_path=drawn, size=32, fps=5)
    assert frames(large).shape == (2, 32, 32, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"camera_path": []}, "cannot be read as a camera path"),
        ({"render_width": None}, "An image's size is"),
        ({"camera_path": [{"fov": 40}]}, "cannot be read as a camera path"),
        ({"fps": "many"}, "cannot be read as a camera path"),
        ({"camera_type": "equirectangular"}, "is of the type equirectangular. Scenes are shown through Perspective"),
    ],
)
def test_a_damaged_camera_path_is_named(drawn: Path, change: dict, message: str) -> None:
    drawn.write_text(json.dumps(json.loads(drawn.read_text()) | change))
    with pytest.raises(TdaError) as refused:
        read_camera_path(drawn)
    assert message in str(refused.value) and str(drawn) in str(refused.value)
    drawn.write_text("[1, 2]")
    with pytest.raises(TdaError, match=r"path.json cannot be read as a camera path \(TypeError"):
        read_camera_path(drawn)


def test_a_damaged_scene_takes_none_of_the_others_out_of_all(store: Store, tmp_path: Path, capsys) -> None:
    path = store.file("cab").path
    path.write_bytes(path.read_bytes()[:-1] + b"~")
    video = render_video(store.folder, "all", tmp_path / "all.mp4", frames=2)
    text = " ".join(capsys.readouterr().out.split())
    assert len(frames(video)) == 4 and "Left out: The file of scenes" in text and path.name in text
    with pytest.raises(TdaError, match=path.name):
        render_video(store.folder, "cab", tmp_path / "cab.mp4", frames=2)
    assert not (tmp_path / "cab.mp4").exists()


def test_a_run_is_shown_by_its_store(store: Store, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yml").write_text("nobody reads this")
    assert store_of(run) is None and store_of(run / "config.yml") is None and store_of(tmp_path / "none") is None
    (run / "finished.json").write_text(json.dumps({"store": str(store.folder)}))
    assert store_of(run) == store_of(run / "config.yml") == store_of(store.folder) == store.folder
    shutil.copytree(store.folder, run / "store")  # of two, the one that moves with the run
    assert store_of(run / "config.yml") == run / "store"
    pipeline, shots = open_source(run)
    assert pipeline.datamanager.scene_names == ["bus", "cab", "van"] and shots == store.manifest.camera
    with pytest.raises(TdaError, match="none does not exist. Give the folder of a store or of a run."):
        open_source(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TdaError, match="is neither a store nor a run. Give a folder with a manifest.json or a config"):
        open_source(tmp_path / "empty")
