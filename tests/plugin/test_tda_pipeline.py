"""Where new scenes begin, which checkpoints are refused, and scores without views."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.learning.scoring import quality
from tda_nerfstudio.plugin import stage_one as stage_one_module


def test_new_scenes_start_from_all_the_space_that_those_of_stage_one_fill(stage_one, stage_two, monkeypatch) -> None:
    import yaml

    config = yaml.load(stage_two.config.read_text(), Loader=yaml.Loader)
    (path,) = stage_one.models.iterdir()
    given = stage_one_module.model_tensors(path)
    given["field.scenes.occupied"].zero_()
    given["field.scenes.occupied"][0, :3] = given["field.scenes.occupied"][2, 30:] = True
    monkeypatch.setattr(stage_one_module, "model_tensors", lambda path: given)
    pipeline = config.pipeline.setup(device="cpu")
    pipeline.start_from_stage_one()
    occupied = pipeline.beginning().occupied
    assert occupied[:3].all() and occupied[30:].all() and not occupied[3:30].any()


def test_a_checkpoint_with_missing_unexpected_and_misshaped_tensors_is_refused_by_name(pipeline) -> None:
    state = {name: value.clone() for name, value in pipeline.state_dict().items()}
    del state["_model.autoencoder.decoder.deep.1.weight"]
    state["_model.extra"] = torch.zeros(1)
    state["_model.field.scenes.weights"] = torch.zeros(9, 3)
    before = pipeline.model.field.scenes.micro.clone()
    with pytest.raises(TdaError) as caught:
        pipeline.load_pipeline(state, 7)
    text = str(caught.value)
    assert text.startswith("The checkpoint of step 7 does not fit this configuration and is refused; ")
    assert "missing: _model.autoencoder.decoder.deep.1.weight; unexpected: _model.extra; " in text
    assert "other shapes: _model.field.scenes.weights is (9, 3), not (4, 3). Use the config.yml" in text
    assert torch.equal(pipeline.model.field.scenes.micro, before)


def test_a_checkpoint_of_several_processes_loads(pipeline) -> None:
    state = {f"module.{name}": value + 1 for name, value in pipeline.state_dict().items()}
    pipeline.load_pipeline(state, 0)
    assert torch.equal(pipeline.state_dict()["_model.field.scenes.base"], state["module._model.field.scenes.base"])


def test_frozen_scenes_refuse_a_checkpoint_with_another_autoencoder(configure, stage_one, stage_two) -> None:
    import yaml

    config = yaml.load(stage_two.config.read_text(), Loader=yaml.Loader)
    pipeline = config.pipeline.setup(device="cpu")
    state = stage_two.state["pipeline"]
    pipeline.load_pipeline(state, 11)
    state["_model.autoencoder.decoder.deep.1.weight"][0, 0, 0, 0] += 1e-3
    wanted = stage_one.manifest["model"]["fingerprint"]
    with pytest.raises(TdaError, match=f"holds an autoencoder with hash .* configured with {wanted}.*do not mix"):
        pipeline.load_pipeline(state, 11)


def test_several_devices_are_refused_with_the_way_to_use_them(configure) -> None:
    with pytest.raises(TdaError, match="One run uses one device.*Start a process per GPU.*0:500 and 500:1000"):
        configure().pipeline.setup(device="cpu", world_size=2)


def test_a_run_without_held_out_views_can_be_finished(configure, tiny_atlas: Path, tmp_path: Path) -> None:
    import shutil

    for name in ("vehicle_0000", "vehicle_0001"):
        shutil.copytree(tiny_atlas / name, tmp_path / "data" / name)
        (tmp_path / "data" / name / "transforms_test.json").unlink()
    config = configure(scenes=(), data=tmp_path / "data").pipeline
    config.datamanager.dataparser.eval_every = 0
    pipeline = config.setup(device="cpu").eval()
    metrics = pipeline.get_average_eval_image_metrics()
    assert metrics == {"left_out": {}, "scenes": {}}
    assert quality(metrics) == "no held-out views, so no PSNR"
