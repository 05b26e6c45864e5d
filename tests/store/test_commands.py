"""`tda store`: what its commands say and do."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torchvision.utils import save_image

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.cli import store as commands
from tda_nerfstudio.store.learnt_scene import Record
from tda_nerfstudio.store.shared_parts import write_shared_parts
from tda_nerfstudio.store.store import Store


def test_info_lists_scenes_and_names_what_is_left_out(store: Store, capsys: pytest.CaptureFixture) -> None:
    path = store.file("cab").path
    path.write_bytes(path.read_bytes()[:50])
    commands.info(store.folder)
    text = capsys.readouterr().out
    assert "van" in text and "20.000" in text and "fp32" in text and "2 scenes in 1 file," in text
    assert "Left out:" in text and path.stem in "".join(text.split())


def test_verify_ends_with_what_is_wrong(store: Store, capsys: pytest.CaptureFixture) -> None:
    commands.verify(store.folder)
    assert "3 scenes in 2 files: every byte is as it was written." in capsys.readouterr().out
    path = store.file("van").path
    path.write_bytes(path.read_bytes()[:-1] + b"~")
    with pytest.raises(TdaError, match=path.name):
        commands.verify(store.folder)


def test_scenes_move_between_stores_of_the_same_shared_parts_alone(store: Store, parts, tmp_path: Path) -> None:
    write_shared_parts(tmp_path / "twin", parts, store.manifest.camera, {})
    commands.add(tmp_path / "twin", store.folder, ("van", "cab"))
    commands.remove(tmp_path / "twin", ("cab",))
    twin = Store(tmp_path / "twin")
    assert list(twin) == ["van"] and twin.file("van").precision == "fp32"
    parts.scenes.base.data.add_(1)
    write_shared_parts(tmp_path / "other", parts, store.manifest.camera, {})
    with pytest.raises(TdaError, match=f"has the shared parts {store.manifest.hash}"):
        commands.add(tmp_path / "other", store.folder)
    assert not len(Store(tmp_path / "other"))


def refuse(*_: object) -> None:
    raise AssertionError("shared parts are not needed to move scenes")


@pytest.fixture
def twin(store: Store, parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty store of the same shared parts, which nobody may read any more."""
    write_shared_parts(tmp_path / "twin", parts, store.manifest.camera, {})
    monkeypatch.setattr("tda_nerfstudio.store.store.read_shared_parts", refuse)
    return tmp_path / "twin"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "scenes").iterdir()}


def test_whole_files_are_copied_as_they_are_and_no_autoencoder_is_built(store: Store, twin: Path) -> None:
    commands.add(twin, store.folder)
    assert files(twin) == files(store.folder) and len(files(twin)) == 2
    commands.add(twin, store.folder)  # once more changes nothing
    assert files(twin) == files(store.folder) and not [p for p in Store(twin).files if p.check()]


def test_scenes_of_many_files_come_together_in_one(store: Store, twin: Path, learnt) -> None:
    store.remove("van")
    for name in ("a", "b", "c"):
        store.add([replace(learnt[0], record=Record(name)), replace(learnt[1], record=Record(f"other {name}"))])
    commands.add(twin, store.folder, ("a", "b", "c", "bus"))
    opened = Store(twin)
    assert opened.names == ["a", "b", "bus", "c"]
    assert sorted((file.names, file.precision) for file in opened.files) == [
        (["a", "b", "c"], "int4"),
        (["bus"], "fp32"),
    ]
    for name in opened:
        assert torch.equal(opened.file(name).load(name).micro, store.file(name).load(name).micro)


def test_a_known_scene_is_replaced_by_an_older_one_that_is_taken_over(store: Store, twin: Path, learnt) -> None:
    store.put_aside("lorry", "It diverged.", {})
    Store(twin).put_aside("van", "It diverged.", {})
    Store(twin).add([replace(learnt[2], record=Record("van", {"psnr": 11.0}))], "fp32")  # written last
    commands.add(twin, store.folder)
    opened = Store(twin)
    assert opened.record("van").metrics == {"psnr": 20.0} and opened.names == ["bus", "cab", "van"]
    assert torch.equal(opened.file("van").load("van").micro, learnt[0].micro) and not opened.aside()


def test_nothing_is_taken_over_where_a_name_is_unknown_or_a_file_damaged(store: Store, twin: Path) -> None:
    with pytest.raises(TdaError, match="holds no scene 'vam'. Did you mean 'van'"):
        commands.add(twin, store.folder, ("cab", "vam"))
    path = store.file("cab").path
    path.write_bytes(path.read_bytes()[:-1] + b"~")
    with pytest.raises(TdaError, match=path.name):
        commands.add(twin, store.folder, ("cab",))
    assert not len(Store(twin))


def test_many_scenes_are_removed_at_once_and_none_where_one_is_unknown(store: Store, learnt, monkeypatch) -> None:
    monkeypatch.setattr("tda_nerfstudio.store.store.read_shared_parts", refuse)
    store.add([replace(learnt[0], record=Record(name)) for name in "abcd"], "int8")
    kept = store.file("d").load("d")
    with pytest.raises(TdaError, match="holds no scene 'x'"):
        commands.remove(store.folder, ("a", "x"))
    commands.remove(store.folder, ("a", "b", "c", "cab"))
    opened = Store(store.folder)
    assert opened.names == ["bus", "d", "van"] and len(files(store.folder)) == 2
    assert torch.equal(opened.file("d").load("d").micro, kept.micro) and opened.file("d").precision == "int8"


def test_info_tells_of_unfinished_scenes_and_of_those_put_aside(store: Store, learnt, capsys) -> None:
    store.put_aside("lorry", "It diverged.", {})
    store.add([replace(learnt[0], record=Record("new", finished=False))])
    commands.info(store.folder)
    text = " ".join(capsys.readouterr().out.split())
    assert "new (unfinished)" in text and "Put aside: lorry: It diverged." in text


def test_a_lighter_store_is_made_and_opened(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    commands.lighten(store.folder, tmp_path / "light", 2, "int8")
    assert "light holds 3 scenes" in capsys.readouterr().out
    assert Store(tmp_path / "light").file("van").precision == "int8"


@pytest.fixture
def atlas(store: Store, tmp_path: Path) -> Path:
    """Photograph the store's scenes as the held-out views of an atlas."""
    view, angle = store.orbit(3), 2 * math.atan(8 / store.manifest.camera.focal)
    for name in store:
        folder = tmp_path / "atlas" / name
        folder.mkdir(parents=True)
        frames = []
        for i, image in enumerate(store[name].render(view)):
            save_image(image, folder / f"{i}.png")
            pose = [*view.c2w[i].tolist(), [0.0, 0.0, 0.0, 1.0]]
            frames.append({"file_path": f"{i}.png", "transform_matrix": pose})
        for split, part in (("train", frames[:1]), ("test", frames[1:])):
            text = json.dumps({"camera_angle_x": angle, "frames": part})
            (folder / f"transforms_{split}.json").write_text(text)
    return tmp_path / "atlas"


def test_the_curve_scores_every_way_against_held_out_images(store: Store, atlas: Path, tmp_path: Path, capsys) -> None:
    commands.curve(store.folder, atlas, tmp_path / "curve.png", scenes=2)
    text = capsys.readouterr().out
    points = json.loads((tmp_path / "curve.json").read_text())
    assert [(p["precision"], p["bases"]) for p in points] == [
        ("int4", 4), ("int8", 4), ("fp16", 4), ("fp32", 4), ("int4", 2), ("int4", 1), ("int4", 1)
    ]  # fmt: skip
    scores = {(p["precision"], p["bases"]): p["psnr"] for p in points}
    assert scores["fp32", 4] > 45 and scores["fp32", 4] >= scores["int8", 4] > scores["int4", 4] > scores["int4", 1]
    assert points[3]["scene_bytes"] > points[2]["scene_bytes"] > points[1]["scene_bytes"] > points[0]["scene_bytes"]
    assert f"{scores['int8', 4]:.3f} dB" in text and (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(TdaError, match="has no held-out views of bus"):
        for folder in atlas.iterdir():
            folder.rename(folder.with_name(f"x{folder.name}"))
        commands.curve(store.folder, atlas, tmp_path / "curve.png")


def test_remove_without_names_takes_nothing_and_asks_for_them(store: Store) -> None:
    with pytest.raises(TdaError, match="Name the scenes to take out of .*store SCENE .. .it holds 3 scenes: bus, cab"):
        commands.remove(store.folder, ())
    assert len(Store(store.folder)) == 3
