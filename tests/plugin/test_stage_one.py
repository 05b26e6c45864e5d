"""Stage 1 is found, checked and read, from its run or from a store."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.plugin import stage_one
from tda_nerfstudio.plugin.finished import write_finished
from tda_nerfstudio.store.shared_parts import OWN, build_parts, shared_tensors


@pytest.fixture
def finished(request: pytest.FixtureRequest):
    """The finished stage 1 of the session, by a name that leaves the module's free."""
    return request.getfixturevalue("stage_one")


def test_the_stage_one_that_finished_last_is_found_among_all_atlases(tmp_path: Path) -> None:
    for age, name in enumerate(["cars/tda-ae/b", "vans/tda-ae/a", "cars/tda-ae/c", "cars/tda-scenes/d"]):
        write_finished(tmp_path / name, {"method": name.split("/")[1], "model": {"fingerprint": "it"}})
        os.utime(tmp_path / name / "finished.json", (1000 - age, 1000 - age))
    os.utime(tmp_path / "vans/tda-ae/a/finished.json", (2000, 2000))
    (tmp_path / "cars/tda-ae/broken").mkdir()
    (tmp_path / "cars/tda-ae/broken/finished.json").write_text("no JSON")
    assert stage_one.find(tmp_path, None)["run"] == str(tmp_path / "vans/tda-ae/a")


def test_no_stage_one_says_where_it_was_looked_for_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "cars/tda-ae/unfinished").mkdir(parents=True)
    with pytest.raises(TdaError) as caught:
        stage_one.find(tmp_path, None)
    assert str(caught.value) == (
        f"No finished tda-ae run below {tmp_path}, and new scenes need one to start from. Run `ns-train tda-ae --data"
        " ATLAS` first, or name a run with --pipeline.autoencoder PATH."
    )


@pytest.mark.slow
def test_another_methods_run_and_another_autoencoder_are_refused(finished, stage_two, tmp_path: Path) -> None:
    with pytest.raises(TdaError, match=f"^{stage_two.folder} is a tda-scenes run; --pipeline.autoencoder needs a"):
        stage_one.find(tmp_path, stage_two.folder)
    found = finished.manifest["model"]["fingerprint"]
    assert stage_one.find(tmp_path, finished.folder, found)["run"] == str(finished.folder)
    with pytest.raises(TdaError) as caught:
        stage_one.find(tmp_path, finished.config, "another")
    assert str(caught.value) == (
        f"Stage 1 at {finished.folder} has an autoencoder with hash {found}, but this configuration expects another."
        " Name the run it was made with: --pipeline.autoencoder PATH."
    )


@pytest.mark.slow
def test_a_run_gives_its_shared_parts_to_the_bit_and_scenes_begin_at_the_mean_of_its_own(finished) -> None:
    (path,) = finished.models.iterdir()
    state = torch.load(path, weights_only=True)["pipeline"]
    parts, where = stage_one.read(finished.folder, None)
    assert where == f"Stage 1 at {finished.folder}"
    given = shared_tensors(parts.scenes, parts.autoencoder)
    named = {f"_model.{name.replace('scenes.', 'field.scenes.', 1)}": tensor for name, tensor in given.items()}
    assert all(torch.equal(tensor, state[name]) for name, tensor in named.items())
    assert {name for name in state if name.startswith(("_model.auto", "_model.field"))} == named.keys() | {
        f"_model.field.scenes.{name}" for name in OWN
    }
    assert torch.equal(parts.weights, state["_model.field.scenes.weights"].mean(0))
    assert torch.equal(parts.occupied, state["_model.field.scenes.occupied"].any(0))
    assert parts.autoencoder.fingerprint() == finished.manifest["model"]["fingerprint"]
    scenes, autoencoder = build_parts(parts.config)
    stage_one.take_over(parts, where, scenes, autoencoder)
    assert all(torch.equal(tensor, given[name]) for name, tensor in shared_tensors(scenes, autoencoder).items())


@pytest.mark.slow
def test_parts_of_other_sizes_are_refused_by_name_and_nothing_is_taken_over(finished, tmp_path: Path) -> None:
    parts, where = stage_one.read(finished.folder, None)
    scenes, autoencoder = build_parts(replace(parts.config, triplane=replace(parts.config.triplane, bases=5)))
    before = {name: tensor.clone() for name, tensor in shared_tensors(scenes, autoencoder).items()}
    with pytest.raises(TdaError, match=r"^Stage 1 at .* is refused; other shapes: scenes.base is \(3, .*, not \(5, "):
        stage_one.take_over(parts, where, scenes, autoencoder)
    assert all(torch.equal(tensor, before[name]) for name, tensor in shared_tensors(scenes, autoencoder).items())
    run = Path(shutil.copytree(finished.folder, tmp_path / "run"))
    content = json.loads((run / "finished.json").read_text())
    content["model"]["triplane"]["bases"] = 4
    (run / "finished.json").write_text(json.dumps(content))
    with pytest.raises(TdaError, match=r"^Stage 1 at .*/run does not fit .*: scenes.base is \(3, .*, not \(4, "):
        stage_one.read(run, None)


@pytest.mark.slow
def test_where_the_run_is_gone_a_store_has_the_same_parts(finished, stage_two, tmp_path: Path) -> None:
    store = stage_two.folder / "store"
    parts, where = stage_one.read(tmp_path / "gone", tmp_path / "no store", store)
    assert where == f"The store {store}"
    own, _ = stage_one.read(finished.folder, store)
    assert torch.equal(parts.weights, own.weights) and torch.equal(parts.occupied, own.occupied)
    found = shared_tensors(parts.scenes, parts.autoencoder)
    for name, tensor in shared_tensors(own.scenes, own.autoencoder).items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-3)  # float16
    with pytest.raises(TdaError, match="gone is not there any more, and no store keeps its parts. Put it back."):
        stage_one.read(tmp_path / "gone", None)
