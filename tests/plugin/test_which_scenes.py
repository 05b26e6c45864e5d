"""What stage 2 learns where nobody says so, and what it says of what stage 1 knew."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tda_nerfstudio import methods
from tda_nerfstudio.atlas.selection import split_of
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.learning.beginning import mean_beginning
from tda_nerfstudio.learning.first_loss import PROBE, first_loss, own_first_loss
from tda_nerfstudio.plugin.resolve import resolve
from tda_nerfstudio.plugin.stage_one import known as known_of_stage_one
from tda_nerfstudio.plugin.stage_two import atlas_of_stage_one
from tda_nerfstudio.plugin.unlike_stage_one import warn_if_unlike

pytestmark = pytest.mark.slow


@pytest.fixture
def known(stage_one, tmp_path: Path) -> Path:
    """An output folder of its own with stage 1 in it, which saw scenes 0 to 3 of the tiny atlas."""
    shutil.copytree(stage_one.folder, tmp_path / "out/tiny/tda-ae/one")
    return tmp_path / "out"


def shown(capsys: pytest.CaptureFixture) -> str:
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_scenes_that_were_in_stage_1_are_named_loudly(configure: Callable, known: Path, capsys) -> None:
    configure("tda-scenes", ("2:6",), output=known)
    assert (
        "2 of 4 scenes were in stage 1 (vehicle_0002, vehicle_0003): PSNR on them is not of new scenes. Choose others:"
        " --pipeline.datamanager.dataparser.scenes splits.json (or names, globs, ranges; '!NAME' leaves one out)."
    ) in shown(capsys)


def test_new_scenes_of_the_same_atlas_are_no_matter(configure: Callable, known: Path, capsys) -> None:
    configure("tda-scenes", ("4:6",), output=known)
    text = shown(capsys)
    assert "Starting from the newest stage 1" in text and "Mind" not in text


def test_another_atlas_is_named_with_the_run_that_saw_this_one(configure, known, tiny_atlas, tmp_path, capsys) -> None:
    data = Path(shutil.copytree(tiny_atlas, tmp_path / "vans"))
    configure("tda-scenes", ("4:6",), data=data, output=known)
    text = shown(capsys)
    assert (
        f"Stage 1 was trained on another atlas, {tiny_atlas}. That is right if both hold scenes of one class." in text
    )
    assert "This one was seen by" not in text
    older = known / "vans/tda-ae/older"
    shutil.copytree(known / "tiny/tda-ae/one", older)
    content = json.loads((older / "finished.json").read_text())
    (older / "finished.json").write_text(json.dumps(content | {"data": str(data)}))
    os.utime(older / "finished.json", (1, 1))
    configure("tda-scenes", ("4:6",), data=data, output=known)
    lines = capsys.readouterr().out.splitlines()
    assert f"  --pipeline.autoencoder {older}" in lines and "Another stage 1 saw this one:" in " ".join(lines)


def bare(output: Path):
    """A tda-scenes line without --data."""
    from copy import deepcopy

    config = deepcopy(methods.tda_scenes.config)
    config.output_dir, config.machine.device_type, config.timestamp = output, "cpu", "bare"
    return config


def test_without_data_stage_2_takes_what_stage_1_left_of_its_atlas(known, tiny_atlas, capsys) -> None:
    config = bare(known)
    resolve(config)
    assert config.data == tiny_atlas
    assert config.pipeline.datamanager.dataparser.scenes == (str(tiny_atlas / "splits.json"),)
    text = shown(capsys)
    assert f"No --data was given: using stage 1's atlas, {tiny_atlas}." in text
    assert "Using splits.json of the atlas: the 2 scenes that it has for tda-scenes." in text


def test_without_data_and_splits_the_scenes_that_stage_1_did_not_see_are_taken(known, tiny_atlas, tmp_path) -> None:
    data = Path(shutil.copytree(tiny_atlas, tmp_path / "cars", ignore=shutil.ignore_patterns("splits.json")))
    path = known / "tiny/tda-ae/one/finished.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data": str(data)}))
    config = bare(known)
    resolve(config)
    assert config.pipeline.datamanager.dataparser.scenes == ("vehicle_0004", "vehicle_0005")
    shutil.rmtree(data)
    with pytest.raises(TdaError, match="which is not there any more. Say which scenes to learn: --data ATLAS."):
        resolve(bare(known))


def test_without_data_a_store_says_nothing_of_what_to_learn(stage_two, known) -> None:
    config = bare(known)
    config.pipeline.store = stage_two.folder / "store"
    with pytest.raises(TdaError, match="Say which scenes to learn into the store .*: --data ATLAS."):
        atlas_of_stage_one(config.pipeline, known)


def test_a_store_tells_what_its_stage_1_knew(stage_one, stage_two, known, tiny_atlas, tmp_path, capsys) -> None:
    store = Path(shutil.copytree(stage_two.folder / "store", tmp_path / "shelf"))
    told = json.loads((store / "manifest.json").read_text())["about"]["stage_one"]
    loss, names = stage_one.manifest["start_loss"], stage_one.manifest["scene_names"]
    assert told == {"data": "tiny", "scene_names": names, "start_loss": loss}
    config = bare(known)
    config.pipeline.store, config.pipeline.datamanager.data = store, tiny_atlas
    config.pipeline.datamanager.dataparser.scenes = ("0:3",)
    resolve(config)
    assert "3 of 3 scenes were in stage 1 (vehicle_0000, vehicle_0001, vehicle_0002): PSNR on them" in shown(capsys)
    assert known_of_stage_one(None, store) == told | {"run": str(store)}


def test_nobody_s_choice_of_stage_1s_atlas_is_what_stage_1_did_not_see(known, tiny_atlas, tmp_path, capsys) -> None:
    data = Path(shutil.copytree(tiny_atlas, tmp_path / "cars", ignore=shutil.ignore_patterns("splits.json")))
    path = known / "tiny/tda-ae/one/finished.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data": str(data)}))
    config = bare(known)
    config.pipeline.datamanager.data = data
    resolve(config)
    assert config.pipeline.datamanager.dataparser.names == ("vehicle_0004", "vehicle_0005")
    assert "Its 2 scenes that stage 1 did not see are learnt." in shown(capsys)


def test_a_splits_file_without_a_list_for_the_method_is_named(tmp_path, capsys) -> None:
    (tmp_path / "splits.json").write_text('{"train": ["a"]}')
    assert split_of(tmp_path, "tda-ae", "--scenes") == ()
    assert "hasnolistofscenesfortda-ae:allscenesareused." in "".join(shown(capsys).split())


def test_a_class_that_starts_far_from_stage_1s_own_is_named_loudly(configure, stage_one, outputs, capsys) -> None:
    assert stage_one.manifest["start_loss"] > 0
    config = configure("tda-scenes", ("4:6",), output=outputs)
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    text = shown(capsys)
    assert "unlike" not in text
    found = first_loss(trainer.pipeline.learner, trainer.pipeline.beginning())
    before = trainer.pipeline.model.field.scenes.weights.clone()
    warn_if_unlike(trainer.pipeline.learner, stage_one.manifest | {"run": "R", "start_loss": found / 1.5})
    assert (
        f"These scenes are unlike those that stage 1 at R knows: L_latent starts at {found:.2f}, and for its own at"
        f" {found / 1.5:.2f}."
    ) in shown(capsys)
    assert (trainer.pipeline.model.field.scenes.weights == before).all()
    for manifest in ({"start_loss": found / 1.3}, {"start_loss": None}, {}):
        warn_if_unlike(trainer.pipeline.learner, stage_one.manifest | {"start_loss": None} | manifest)
    assert shown(capsys) == ""


def test_stage_1s_own_start_is_measured_without_a_change(pipeline) -> None:
    table = pipeline.model.field.scenes
    before = {name: value.clone() for name, value in table.state_dict().items()}
    loss = own_first_loss(pipeline.learner)
    assert loss is not None
    assert loss > 0 and all((value == before[name]).all() for name, value in table.state_dict().items())
    mean = mean_beginning(table.weights.detach(), table.occupied, "")
    table.warm_start(mean.weights, mean.occupied)
    probed = [
        pipeline.learner.training.losses(PROBE, pipeline.learner.batches.batch(s, PROBE, False), s) for s in range(4)
    ]
    assert sum(float(each["latent"]) for each in probed) / 4 == pytest.approx(loss, rel=1e-6)
