"""A store opens anywhere, shows what was learnt, and loses nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from tda_nerfstudio.base.errors import StoreError, TdaError
from tda_nerfstudio.core import showing
from tda_nerfstudio.core.cameras import orbit
from tda_nerfstudio.core.scenes import LatentScenes
from tda_nerfstudio.store.learnt_scene import Record
from tda_nerfstudio.store.manifest import MANIFEST, DefaultCamera
from tda_nerfstudio.store.shared_parts import GROWTH, TENSORS, SharedParts, read_shared_parts, write_shared_parts
from tda_nerfstudio.store.store import SCENES, Store


@pytest.fixture
def view():
    return orbit(2, 3.0, 20.0, 20.0, (16, 16), torch.zeros(3))


def test_a_stored_scene_looks_like_the_one_that_was_learnt(store, table, codec, shared_config, view):
    assert list(store) == ["bus", "cab", "van"] and len(store) == 3
    for i, name in enumerate(("van", "bus", "cab")):
        index = torch.tensor([i])
        planes, occupied = table.planes(index).detach(), table.occupied[index]
        rendering = showing.march(table, planes, occupied, codec, view, 16, 16, shared_config.sampling)
        expected = showing.decode(codec, rendering, 16, 16)
        found = Store(store.folder)[name].render(view)
        assert found.shape == (2, 3, 16, 16) and rendering.opacity.max() > 0.5
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)  # weights are kept in float16


def test_what_is_kept_of_a_scene_is_told_without_reading_it(store):
    assert Store(store.folder).record("bus") == Record("bus", {"psnr": 20.0}, {})
    assert store.manifest.about == {"made": "in a test"}


def test_an_unknown_scene_is_refused_with_the_nearest(store):
    with pytest.raises(StoreError, match=r"holds no scene 'vam'. Did you mean 'van'\?"):
        store["vam"]


def test_adding_changes_no_file_that_was_there(store, learnt):
    before = {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()}
    store.add([replace(learnt[0], record=Record("new"))])
    assert {path: path.read_bytes() for path in before} == before
    assert list(Store(store.folder)) == ["bus", "cab", "new", "van"] == list(store)


def test_of_two_scenes_of_a_name_the_one_written_last_counts(store, learnt):
    store.add([replace(learnt[1], record=Record("van", {"psnr": 30.0}))])
    for seen in (store, Store(store.folder)):
        assert seen.record("van").metrics == {"psnr": 30.0} and len(seen) == 3
        assert torch.equal(seen["van"].learnt.occupied, learnt[1].occupied)


def test_pruning_deletes_what_was_written_again_and_nothing_else(store, learnt):
    first, second = store.file("van").path, store.file("cab").path
    store.add([learnt[0], learnt[2]], "fp32")
    store.prune()
    assert first.exists() and not second.exists() and len(list(Store(store.folder))) == 3
    store.add([learnt[1]], "fp32")
    store.prune()
    assert not first.exists() and list(Store(store.folder)) == ["bus", "cab", "van"] and not store.verify()


def test_removing_a_scene_leaves_the_others_as_they_are(store, learnt):
    store.add([replace(learnt[2], record=Record("van"))])  # a second one of that name, so that both must go
    store.remove("van")
    for seen in (store, Store(store.folder)):
        assert list(seen) == ["bus", "cab"]
        assert torch.equal(seen["bus"].learnt.micro, learnt[1].micro)
    assert not store.verify()
    with pytest.raises(StoreError, match="holds no scene 'van'"):
        store.remove("van")


def test_a_damaged_file_takes_its_own_scenes_and_no_others(store):
    path = store.file("cab").path
    path.write_bytes(path.read_bytes()[:100])
    opened = Store(store.folder)
    assert list(opened) == ["bus", "van"] and opened["bus"].record.name == "bus"
    (problem,) = opened.verify()
    assert str(path) in str(problem) and "cannot be read" in str(problem)


def test_changed_shared_parts_are_found(store):
    for name in (TENSORS, GROWTH, MANIFEST):
        path = store.folder / name
        content = path.read_bytes()
        at = content.index(b'"coarse": 6') + 10 if name == MANIFEST else len(content) - 1
        path.write_bytes(content[:at] + (b"7" if name == MANIFEST else b"~") + content[at + 1 :])
        (problem,) = Store(store.folder).verify()
        assert "the hash of them and their sizes is" in str(problem)
        path.write_bytes(content)
    assert not Store(store.folder).verify()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "tda store 9"}, "its format is 'tda store 9', not 'tda store 1'"),
        ({"sizes": {}}, "cannot be read"),
        ({"shared": 7}, "its hashes are not texts"),
        ({"about": []}, "no set of keys"),
    ],
)
def test_a_foreign_manifest_is_refused(store, change, message):
    path = store.folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(StoreError, match=message):
        Store(store.folder)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("triplane", "resolution", 10**9),
        ("triplane", "bases", 4095.5),
        ("autoencoder", "width", -1),
        ("sampling", "coarse", 10**12),
        ("triplane", "resolution", "64"),
    ],
)
def test_sizes_that_would_fill_the_memory_are_refused(store, part, key, value):
    path = store.folder / MANIFEST
    content = json.loads(path.read_text())
    content["sizes"][part][key] = value
    path.write_text(json.dumps(content))
    with pytest.raises(StoreError, match=f"{key}.* is {value}, not from"):
        Store(store.folder)


def test_what_new_scenes_start_from_is_kept(store, parts):
    found = Store(store.folder).shared
    torch.testing.assert_close(found.weights, parts.weights, rtol=0, atol=0)
    assert torch.equal(found.occupied, parts.occupied) and not found.occupied.all()
    images = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(found.autoencoder.encode(images), parts.autoencoder.encode(images), rtol=0, atol=1e-3)


def test_other_shared_parts_are_another_store(store, parts, tmp_path):
    with torch.no_grad():
        parts.scenes.base.add_(1)
    write_shared_parts(tmp_path / "other", parts, store.manifest.camera, {})
    other = Store(tmp_path / "other")
    path = store.file("van").path
    (other.folder / SCENES).mkdir()
    (other.folder / SCENES / path.name).write_bytes(path.read_bytes())
    (problem,) = Store(other.folder).damaged
    assert (
        store.manifest.hash in str(problem)
        and other.manifest.hash in str(problem)
        and store.manifest.hash != other.manifest.hash
    )


def test_no_folder_is_no_store(tmp_path):
    with pytest.raises(StoreError, match="is no store: it has no manifest.json"):
        Store(tmp_path)


def test_it_opens_without_nerfstudio_and_images(store):
    code = (
        "import sys, torch; from tda_nerfstudio.store.store import Store;"
        f"store = Store({str(store.folder)!r}); print(store['van'].render(store.orbit(1)).shape);"
        "assert not {'nerfstudio', 'diffusers', 'PIL', 'viser'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "torch.Size([1, 3, 16, 16])" in done.stdout, done.stderr


def test_the_orbit_goes_around_the_box_at_the_distance_learnt_from(store):
    view = store.orbit(4, 30.0)
    centre = store.shared.scenes.box.mean(0)
    torch.testing.assert_close((view.c2w[:, :, 3] - centre).norm(dim=1), torch.full((4,), 3.0))
    assert view.fx.tolist() == [20.0] * 4 and view.cx.tolist() == [8.0] * 4


def test_cameras_of_another_size_show_the_same_enlarged(store):
    scene = store["van"]
    large = scene.render(store.orbit(2, size=32))
    assert large.shape == (2, 3, 32, 32) and torch.equal(large, scene.render(store.orbit(2), 32, 32))
    assert scene.render(store.orbit(1, size=(24, 8))).shape == (1, 3, 8, 24)
    assert scene.render(store.orbit(1), height=8).shape == scene.render(store.orbit(1), width=8).shape == (1, 3, 8, 8)
    with pytest.raises(TdaError, match="An image's size is"):
        scene.render(store.orbit(1), -4, 8)


def test_many_views_are_rendered_a_few_at_a_time(store, monkeypatch, capsys):
    view, sizes = store.orbit(7), []
    whole, show = store["van"].render(view), showing.show
    monkeypatch.setattr(showing, "show", lambda *given: sizes.append(len(given[4])) or show(*given))
    monkeypatch.setattr("tda_nerfstudio.store.stored_scene.PIXELS_TOGETHER", 3 * 16 * 16)
    parts = store["van"].render(view, progress=True)
    assert sizes == [3, 3, 1] and "Rendering van" in capsys.readouterr().out
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-6)
    assert store["van"].render(view[:0]).shape == (0, 3, 16, 16)


def test_a_store_and_its_scenes_say_what_they_are(store, folder, learnt):
    assert store.names == ["bus", "cab", "van"]
    store.add([replace(learnt[0], record=Record("tram", finished=False))])
    text = f"<Store {str(folder)!r}: 4 scenes of 16 x 16 pixels, PSNR 20.00 dB: bus, cab, tram, ...>"
    assert repr(store) == text
    assert repr(store["van"]) == "<StoredScene 'van': 16 x 16 pixels, PSNR 20.00 dB>"
    assert repr(store["tram"]) == "<StoredScene 'tram': 16 x 16 pixels, unfinished>"
    for name in store.names:
        store.remove(name)
    assert repr(store) == f"<Store {str(folder)!r}: 0 scenes of 16 x 16 pixels>"


def test_it_renders_on_the_device_that_is_asked_for(folder, store):
    assert Store(folder).device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    opened = Store(folder, device="cpu")
    assert opened["van"].shared is opened.shared  # no copy where it is there already
    assert opened["van"].render(opened.orbit(1)).device.type == "cpu"
    moved = opened.shared.to(torch.device("meta"))
    assert moved.scenes.box.is_meta and moved.autoencoder.background.is_meta and not opened.shared.scenes.box.is_meta


def test_a_store_from_before_there_were_starters_opens(store):
    path = store.folder / MANIFEST
    content = json.loads(path.read_text())
    del content["sizes"]["triplane"]["starter"]
    path.write_text(json.dumps(content))
    opened = Store(store.folder)
    assert not opened.verify() and opened.shared.scenes.starter is None and len(opened) == 3


def test_a_store_keeps_the_starter_for_more_scenes_and_images_do_not_depend_on_it(tmp_path, shared_config, codec):
    triplane = replace(shared_config.triplane, resolution=16, grid=16, starter=8)
    table = LatentScenes(1, 4, triplane, seed=1)
    with torch.no_grad():
        for tensor in table.parameters():
            tensor.copy_(tensor.half().float())
    occupied, weights = torch.ones(16, 16, 16, dtype=torch.bool), torch.zeros(4)
    parts = SharedParts(replace(shared_config, triplane=triplane), table, codec, weights, occupied)
    digest = write_shared_parts(tmp_path / "one", parts, DefaultCamera(12, 8, 10.0, 3.0), {})
    found = read_shared_parts(tmp_path / "one").scenes
    for name, tensor in table.starter.state_dict().items():
        assert torch.equal(found.starter.state_dict()[name], tensor), name
    with torch.no_grad():
        table.starter.weights.bias += 1
    assert write_shared_parts(tmp_path / "other", parts, DefaultCamera(12, 8, 10.0, 3.0), {}) == digest
