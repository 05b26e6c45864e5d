"""Exports of whole stores: what is made, what goes on, and what is refused before the work."""

from __future__ import annotations

import errno
import inspect
import json
import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from a_scene import CAMERA, off_surface

from tda_nerfstudio.atlas.layouts.scene import read_scene
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.cli import export as commands
from tda_nerfstudio.export import folder as folder_module
from tda_nerfstudio.export import job
from tda_nerfstudio.export.images import ImageOptions
from tda_nerfstudio.export.job import export
from tda_nerfstudio.export.mesh.make_mesh import MeshOptions
from tda_nerfstudio.export.points import PointOptions
from tda_nerfstudio.export.scores import DECODED, OWN, TRUE
from tda_nerfstudio.export.splats import make_splats
from tda_nerfstudio.export.splats.make_splats import SplatOptions
from tda_nerfstudio.looking.truth import Truth
from tda_nerfstudio.store.learnt_scene import Record
from tda_nerfstudio.store.store import Store

POINTS = PointOptions(count=300, side=24)
SPLATS = SplatOptions(count=400, steps=24)
MESH = MeshOptions(faces=300, texture=64, side=32)


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find surfaces of splats in fewer cells."""
    monkeypatch.setattr(make_splats, "SIDE", 40)


@pytest.fixture
def store(ball_store: Store, tmp_path: Path) -> Store:
    """The ball, a second one, and one that is fog."""
    shutil.copytree(ball_store.folder, tmp_path / "store")
    store = Store(tmp_path / "store", device="cpu")
    ball = store["ball"].learnt
    fog = replace(ball, record=Record("fog"), micro=ball.micro * 0 - 0.001)
    store.add([fog, replace(ball, record=Record("other"))], "fp32")
    return store


def test_a_scene_without_a_surface_does_not_take_the_others_down(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    done = export(store, tmp_path / "out", POINTS)
    assert list(done.figures) == ["ball", "other"] and done.new == 2
    assert "fog all over" in done.failed["fog"]
    assert "Left out: 'fog'. It has no surface" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").glob("*.ply")) == ["ball.points.ply", "other.points.ply"]


def test_the_same_call_goes_on_and_others_are_refused(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(store, out, POINTS, ["ball"])
    before = (out / "ball.points.ply").stat().st_mtime_ns
    done = export(store, out, POINTS, ["ball", "other"])
    assert done.new == 1 and set(done.figures) == {"ball", "other"}
    assert (out / "ball.points.ply").stat().st_mtime_ns == before
    with pytest.raises(TdaError, match=r"holds 1 file: ball.points.ply already.*nothing was written.*--overwrite"):
        export(store, out, replace(POINTS, count=200), ["ball"])
    assert export(store, out, replace(POINTS, count=200), ["ball"], overwrite=True).figures["ball"]["points"] == 200
    (out / "other.points.ply").write_bytes(b"cut")
    with pytest.raises(TdaError, match="other.points.ply already"):
        export(store, out, POINTS, ["other"])


def test_a_scene_that_was_learnt_anew_is_exported_anew(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path / "out", POINTS, ["ball"])
    ball = store["ball"].learnt
    store.add([replace(ball, record=Record("ball", {"psnr": 1.0}))], "fp32")
    assert export(store, tmp_path / "out", POINTS, ["ball"]).new == 0  # another file, but the same scene
    store.add([replace(ball, micro=ball.micro * 1.01)], "fp32")
    with pytest.raises(TdaError, match="of other scenes or made otherwise"):
        export(store, tmp_path / "out", POINTS, ["ball"])


def test_kinds_share_a_folder(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for options in (POINTS, replace(MESH, formats=("glb", "obj", "ply")), replace(SPLATS, formats=("ply", "splat"))):
        export(store, out, options, ["ball"])
    names = {path.name for path in out.iterdir()}
    wanted = ("points.ply", "glb", "obj", "mtl", "jpg", "mesh.ply", "splats.ply", "splat")
    assert names == {".made", *(f"ball.{suffix}" for suffix in wanted)}


def test_splats_show_their_scene(store: Store, tmp_path: Path) -> None:
    headline = f"AA {DECODED}"
    raw = export(store, tmp_path / "raw", replace(SPLATS, steps=0), ["ball"]).figures["ball"]
    done = export(store, tmp_path / "out", SPLATS, ["ball"]).figures["ball"]
    assert done[headline] > max(raw[headline] + 2, 25)
    assert done["splats"] <= 400 and done["bytes"] == (tmp_path / "out/ball.splats.ply").stat().st_size
    assert f"plain {DECODED}" in done and not [heading for heading in done if TRUE in heading]
    again = export(store, tmp_path / "again", SPLATS, ["ball"])
    assert again.figures["ball"][headline] == done[headline]
    assert (tmp_path / "again/ball.splats.ply").read_bytes() == (tmp_path / "out/ball.splats.ply").read_bytes()


def test_images_are_an_atlas_and_exports_are_scored_with_it(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path / "atlas", ImageOptions(count=12), ["ball"])
    scene = read_scene(tmp_path / "atlas/ball")
    assert len(scene.train) + len(scene.test) == 12 and scene.train.width == CAMERA.width
    truth = Truth(tmp_path / "atlas", CAMERA.width, CAMERA.height)
    done = export(store, tmp_path / "out", MESH, ["ball"], truth)
    figures = done.figures["ball"]
    assert figures[OWN] > 40  # it is its own truth, but for 8 bits
    assert figures[TRUE] > 26 and abs(figures[TRUE] - figures[DECODED]) < 0.5
    mesh = pytest.importorskip("trimesh").load(tmp_path / "out/ball.glb", force="mesh")
    world = np.stack([mesh.vertices[:, 0], -mesh.vertices[:, 2], mesh.vertices[:, 1]], 1)
    assert np.abs(off_surface(world)).mean() < 0.02


def test_a_full_disk_leaves_nothing_half_written(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, replace_file = tmp_path / "out", folder_module.replace_file

    def full(path: Path, write: Any) -> None:
        if path.suffix == ".obj":
            raise OSError(errno.ENOSPC, "No space left on device")
        replace_file(path, write)

    monkeypatch.setattr(folder_module, "replace_file", full)
    with pytest.raises(
        TdaError, match=r"out cannot be written \(No space left on device\). Make room.*what is done stays"
    ):
        export(store, out, replace(MESH, formats=("obj",)), ["ball"])
    assert [path for path in out.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (PointOptions(count=0), "--count is 0. Give a whole number from 1 to 10,000,000."),
        (PointOptions(count=10**9), "--count is 1,000,000,000. Give a whole number from 1"),
        (SplatOptions(count=0), "--count is 0. Give a whole number from 1 to 1,000,000."),
        (SplatOptions(count=10**9), "--count is 1,000,000,000"),
        (
            SplatOptions(kilobytes=0.5),
            "--kilobytes is 0.5, which is not the size of 1 to 1,000,000 splats. Give from 2",
        ),
        (SplatOptions(kilobytes=1e6), "--kilobytes is 1e+06, which is not the size of"),
        (SplatOptions(kilobytes=float("nan")), "--kilobytes is nan"),
        (SplatOptions(kilobytes=float("inf")), "--kilobytes is inf"),
        (SplatOptions(degree=3), "--degree is 3. Give a whole number from 0 to 2."),
        (SplatOptions(degree=1, formats=("splat",)), "hold one colour a splat"),
        (SplatOptions(formats=()), "--formats names no kind of file"),
        (MeshOptions(faces=3), "--faces is 3"),
        (MeshOptions(texture=10**6), "--texture is 1,000,000"),
        (ImageOptions(size=1), "--size is 1"),
    ],
)
def test_what_cannot_be_made_is_refused_before_the_work(
    store: Store, tmp_path: Path, options: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job.Subject, "of", lambda *_: pytest.fail("it began"))
    with pytest.raises(TdaError) as caught:
        export(store, tmp_path / "out", options)
    assert said in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_unknown_scenes_and_impossible_folders_are_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(TdaError, match="holds no scene 'bal'. Did you mean 'ball'?"):
        export(store, tmp_path / "out", POINTS, ["bal"])
    (tmp_path / "file").write_text("")
    with pytest.raises(TdaError, match="file is a file. Name a folder for the exports"):
        export(store, tmp_path / "file", POINTS)
    with pytest.raises(TdaError, match="None of 1 scene could be exported. The first: It has no surface"):
        export(store, tmp_path / "out", POINTS, ["fog"])
    store.remove("ball", "fog", "other")
    with pytest.raises(TdaError, match="holds no scenes yet"):
        export(store, tmp_path / "out", POINTS)


def test_an_interrupted_export_goes_on_and_overwriting_does_too(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, replace_file, options = tmp_path / "out", folder_module.replace_file, ImageOptions(count=3)

    def killed(path: Path, write: Any) -> None:
        if path.name == "0002.png":
            raise KeyboardInterrupt
        replace_file(path, write)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(folder_module, "replace_file", killed)
        export(store, out, options, ["ball"])
    assert not (out / "ball/transforms.json").exists()
    assert export(store, out, options, ["ball"]).new == 1
    fewer = ImageOptions(count=2)
    assert export(store, out, fewer, ["ball"], overwrite=True).new == 1
    assert sorted(path.name for path in (out / "ball/images").iterdir()) == ["0000.png", "0001.png"]
    done = export(store, out, fewer, ["ball", "other"], overwrite=True)
    assert done.new == 1 and len(done.figures) == 2  # what --overwrite has made is not made again


def test_unreadable_images_and_unforeseen_errors_leave_the_others(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    export(store, tmp_path / "atlas", ImageOptions(count=20), ["ball", "other"])
    for path in (tmp_path / "atlas/ball/images").iterdir():
        path.write_bytes(b"no image")
    truth = Truth(tmp_path / "atlas", CAMERA.width, CAMERA.height)
    assert set(export(store, tmp_path / "out", POINTS, ["ball", "other"], truth).figures) == {"ball", "other"}
    of = job.Subject.of

    def broken(store: Store, name: str, *more: Any) -> Any:
        if name == "ball":
            raise MemoryError("too large")
        return of(store, name, *more)

    monkeypatch.setattr(job.Subject, "of", broken)
    done = export(store, tmp_path / "more", POINTS, ["ball", "other"])
    assert done.failed == {"ball": "MemoryError: too large"} and list(done.figures) == ["other"]
    assert "Left out: 'ball'. MemoryError: too large" in capsys.readouterr().out


def test_commands_have_the_defaults_of_what_they_call() -> None:
    for command, options in (
        (commands.splats, SplatOptions),
        (commands.mesh, MeshOptions),
        (commands.points, PointOptions),
        (commands.images, ImageOptions),
    ):
        given = {name: part.default for name, part in inspect.signature(command).parameters.items()}
        assert {field.name: field.default for field in fields(options)}.items() <= given.items()


def test_a_table_of_what_was_made_is_printed(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(TdaError, match="holds no scene 'bal'"):
        commands.points(commands.WithImages(str(store.folder), tmp_path / "out", ("bal",)))
    commands.points(commands.WithImages(str(store.folder), tmp_path / "out", ("ball", "other")), count=100)
    commands.points(commands.WithImages(str(store.folder), tmp_path / "out", ("all", "!fog")), count=100)
    said = capsys.readouterr().out
    assert "mean of 2" in said and "points" in said and "100" in said
    assert "Wrote 2 scenes to" in said and "2 of them there already" in said


def test_a_size_in_kilobytes_is_kept(store: Store, tmp_path: Path) -> None:
    for kind, degree in (("ply", 0), ("splat", 0), ("spz", 0), ("ply", 2)):
        options = replace(SPLATS, kilobytes=12.0, formats=(kind,), steps=0, degree=degree)
        done = export(store, tmp_path / kind, options, ["ball"], overwrite=degree > 0).figures["ball"]
        assert 7000 < done["bytes"] <= 12000, kind
    note = json.loads((tmp_path / "ply/.made/ball.splats-ply.json").read_text())
    assert note["files"] == {"ball.splats.ply": note["figures"]["bytes"]}
