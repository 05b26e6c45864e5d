"""One call that learns a wave of scenes, without nerfstudio."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tda_nerfstudio.atlas.atlas import read_atlas
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.learning.batches import StepSize
from tda_nerfstudio.learning.learn_wave import LearntWave, learn_wave
from tda_nerfstudio.learning.schedule import StageTwo
from tda_nerfstudio.plugin import stage_one as stage_one_module
from tda_nerfstudio.store.store import Store

SHORT = StageTwo(encode_visits=6, decode_visits=6)
NAMES = ["vehicle_0004", "vehicle_0002"]


@pytest.fixture(scope="module")
def parts(stage_one):
    """The shared parts of the finished stage 1."""
    return stage_one_module.read(stage_one.folder, None)[0]


@pytest.fixture(scope="module")
def learnt(parts, tiny_atlas: Path) -> LearntWave:
    """Two scenes of the atlas, one a step, six visits in each phase."""
    wave = learn_wave(read_atlas(tiny_atlas), parts, NAMES, 42, schedule=SHORT, size=StepSize(1), device="cpu")
    assert wave is not None
    return wave


def test_scenes_come_in_the_order_asked_for_with_their_scores(learnt: LearntWave) -> None:
    assert [scene.record.name for scene in learnt.scenes] == NAMES and not learnt.aside
    for scene in learnt.scenes:
        assert scene.record.finished and scene.record.provenance == {"data": "tiny", "seed": 42}
        assert scene.record.metrics["psnr"] == pytest.approx(
            learnt.metrics["scenes"][scene.record.name]["psnr"], abs=1e-4
        )


def test_they_are_what_a_run_of_nerfstudio_learns_to_the_bit(learnt, configure, outputs, tmp_path) -> None:
    config = configure("tda-scenes", ("4:6",), steps=6, output=outputs)
    config.output_dir, config.timestamp, config.max_num_iterations = tmp_path, "run", None
    manager = config.pipeline.datamanager
    manager.dataparser.scenes, manager.scenes_per_step, manager.views_per_scene = ("2:5",), 1, 1
    manager.rays_per_view = StepSize().rays
    config.pipeline.schedule = SHORT
    config.save_config()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    trainer.train()
    run = Store(trainer.bank.folder)
    folder = shutil.copytree(run.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("scenes"))
    own = Store(folder)
    own.add(learnt.scenes)
    for name in NAMES:
        for part in ("micro", "weights", "occupied"):
            assert torch.equal(getattr(own[name].learnt, part), getattr(run[name].learnt, part)), (name, part)
        assert own.record(name).metrics == run.record(name).metrics


def test_shared_parts_stay_as_they_were(parts, learnt, stage_one) -> None:
    again = stage_one_module.read(stage_one.folder, None)[0]
    for one, other in ((parts.scenes, again.scenes), (parts.autoencoder, again.autoencoder)):
        for name, tensor in one.state_dict().items():
            assert torch.equal(tensor, other.state_dict()[name]), name
    assert not any(param.requires_grad for param in [*parts.scenes.parameters(), *parts.autoencoder.parameters()])


def test_it_stops_when_asked_to(parts, tiny_atlas: Path) -> None:
    asked: list[int] = []

    def stopped() -> bool:
        asked.append(1)
        return len(asked) > 3

    atlas = read_atlas(tiny_atlas)
    assert learn_wave(atlas, parts, NAMES, 42, schedule=SHORT, device="cpu", stopped=stopped) is None
    assert len(asked) == 4


def test_unknown_scenes_and_moving_shared_parts_are_refused(parts, tiny_atlas: Path) -> None:
    atlas = read_atlas(tiny_atlas)
    with pytest.raises(
        TdaError, match=r"tiny \(6 scenes: .*\) has no scene 'vehicle_4'. Did you mean 'vehicle_0004'\?"
    ):
        learn_wave(atlas, parts, ["vehicle_4"], 0)
    with pytest.raises(TdaError, match="keeps shared parts frozen. Give a schedule with shared='frozen'."):
        learn_wave(atlas, parts, NAMES, 0, schedule=StageTwo(shared="finetune"))
    with pytest.raises(TdaError, match="No scene is named. Give names of the atlas"):
        learn_wave(atlas, parts, [], 0)
    with pytest.raises(TdaError, match="The schedule has no steps"):
        learn_wave(atlas, parts, NAMES, 0, schedule=StageTwo(encode_visits=0, decode_visits=0))


def test_learning_needs_no_nerfstudio() -> None:
    code = "import sys; sys.modules['nerfstudio'] = None; import tda_nerfstudio.learning.learn_wave"
    subprocess.run([sys.executable, "-c", code], check=True)
