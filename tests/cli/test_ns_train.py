"""ns-train tda-ae, tda-scenes and tda-rgb: what they leave behind, what they say, and what they refuse."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

pytestmark = pytest.mark.slow


def break_scenes(atlas: Path, target: Path, keep: tuple[int, ...]) -> Path:
    """Copy scenes; in the copies image 0 of scene 1 is cut, scene 2 is flatter, a pose of scene 3 is not a number."""
    for index in keep:
        shutil.copytree(atlas / f"vehicle_{index:04d}", target / f"vehicle_{index:04d}")
    image = target / "vehicle_0001/train/r_000.png"
    if image.exists():
        image.write_bytes(image.read_bytes()[:20])
    for path in (target / "vehicle_0002").glob("t*/*.png"):
        Image.open(path).resize((16, 8)).save(path)
    for path in (target / "vehicle_0002").glob("transforms_*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"w": 16, "h": 8, "cx": 8, "cy": 4}))
    poses = target / "vehicle_0003/transforms_train.json"
    content = json.loads(poses.read_text())
    content["frames"][4]["transform_matrix"][0][3] = float("nan")
    poses.write_text(json.dumps(content))
    return target


def edit_checkpoint(source: Path, folder: Path, edit: Callable[[dict], object]) -> Path:
    """Copy a run's only checkpoint into a folder, its tensors edited."""
    (path,) = source.iterdir()
    state = torch.load(path, weights_only=True)
    edit(state["pipeline"])
    folder.mkdir(parents=True)
    torch.save(state, folder / path.name)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trainings")


@pytest.fixture(scope="module")
def lines(folder: Path, tiny_atlas: Path, outputs: Path, stage_one, stage_two, stage_one_words, tiny_sizes) -> dict:
    """Spell every further run of ns-train; all but the first two are refused."""
    decoder, weights = "_model.autoencoder.decoder.deep.1.weight", "_model.field.scenes.weights"
    lacking = edit_checkpoint(stage_one.models, folder / "lacking", lambda state: state.pop(decoder))
    misshaped = edit_checkpoint(
        stage_one.models, folder / "misshaped", lambda state: state.update({weights: torch.zeros(7, 3)})
    )
    shutil.copytree(stage_one.folder, folder / "tampered", ignore=shutil.ignore_patterns("nerfstudio_models"))
    edit_checkpoint(stage_one.models, folder / "tampered/nerfstudio_models", lambda state: state[decoder].mul_(1.01))
    broken = break_scenes(tiny_atlas, folder / "broken", tuple(range(6)))
    (folder / "empty").mkdir()
    quiet = ["--vis", "tensorboard", "--output-dir", folder / "out"]
    data, two = ["--data", tiny_atlas], ["--output-dir", outputs, "--vis", "tensorboard"]
    scene = "--pipeline.datamanager.dataparser.scene"
    tiny_planes, last = ["--pipeline.model.triplane.resolution", "16"], [f"{scene}s", "4:6"]
    return {
        "broken": ["tda-ae", "--data", broken, *tiny_sizes, "--max-num-iterations", "10", "--timestamp", "b", *quiet],
        "rgb": ["tda-rgb", *data, "--max-num-iterations", "3", "--timestamp", "rgb", *tiny_planes, *last, *quiet],
        "no good scene": ["tda-ae", "--data", break_scenes(tiny_atlas, folder / "bad", (1, 3)), *quiet],
        "no data": ["tda-ae", "--data", folder / "nowhere", *quiet],
        "empty data": ["tda-ae", "--data", folder / "empty", *quiet],
        "unknown scene": ["tda-ae", *data, f"{scene}s", "vehicle_00003", *quiet],
        "unknown active scene": ["tda-ae", *data, *tiny_sizes, scene, "vehicle_003", *quiet],
        "missing tensor": [*stage_one_words, *quiet, "--load-dir", lacking],
        "misshaped tensor": [*stage_one_words, *quiet, "--load-dir", misshaped],
        "no checkpoint": [*stage_one_words, *quiet, "--load-dir", folder / "empty"],
        "other hash": ["tda-scenes", *data, *two, "--pipeline.autoencoder-hash", "0123456789abcdef"],
        "tampered autoencoder": ["tda-scenes", *data, *two, "--pipeline.autoencoder", folder / "tampered"],
        "not a stage one": ["tda-scenes", *data, *two, "--pipeline.autoencoder", stage_two.folder],
    }


@pytest.fixture(scope="module")
def trained(commands, lines: dict):
    return commands("ns-train", lines)


@pytest.fixture(scope="module")
def finger(stage_one) -> str:
    return stage_one.manifest["model"]["fingerprint"]


def phases(text: str) -> dict[str, int]:
    """Read the steps of each phase from the forecast."""
    return {name: int(steps) for name, steps in re.findall(r"^│ ([\w-]+) +│ +(\d+) │", text, re.MULTILINE)}


def test_a_finished_stage_one_says_what_it_is(stage_one, tiny_atlas: Path) -> None:
    manifest = stage_one.manifest
    assert manifest["method"] == "tda-ae"
    assert manifest["data"] == str(tiny_atlas)
    assert manifest["scene_names"] == [f"vehicle_000{i}" for i in range(4)]
    assert manifest["steps"] == 12
    assert manifest["checkpoint"] == "nerfstudio_models/step-000000011.ckpt"
    assert manifest["model"]["autoencoder"]["f"] == 4
    assert manifest["model"]["triplane"]["bases"] == 3
    assert set(manifest["metrics"]["scenes"]) == set(manifest["scene_names"])
    assert phases(stage_one.result.text) == {"warm-up": 4, "latent": 4, "joint": 4}
    assert f"Done: PSNR {manifest['metrics']['psnr']:.2f} dB, SSIM " in stage_one.result.flat
    assert "ns-viewer --load-config" in stage_one.result.flat


@pytest.mark.parametrize("stage", ["stage_one", "stage_two"])
def test_the_checkpoint_folder_holds_one_checkpoint_that_loads_without_running_code(stage: str, request) -> None:
    run = request.getfixturevalue(stage)
    assert [path.name for path in run.models.iterdir()] == ["step-000000011.ckpt"]
    assert run.state["step"] == 11
    assert not list(run.folder.parent.glob(".*"))


def test_stage_two_finds_the_newest_stage_one_and_says_so(stage_one, stage_two, tiny_atlas: Path) -> None:
    assert f"Starting from the newest stage 1: {stage_one.folder}" in stage_two.result.flat
    metrics = stage_one.manifest["metrics"]
    assert f"trained on 4 scenes of {tiny_atlas}; PSNR {metrics['psnr']:.2f} dB" in stage_two.result.flat
    assert phases(stage_two.result.text).keys() == {"encode-scene", "decode-scene"}
    assert sum(phases(stage_two.result.text).values()) == 12


def test_stage_two_keeps_the_shared_parts_bit_by_bit_and_moves_its_scenes(stage_one, stage_two) -> None:
    one, two = stage_one.state["pipeline"], stage_two.state["pipeline"]
    scenes = "_model.field.scenes."
    own = {f"{scenes}micro", f"{scenes}weights", f"{scenes}occupied"}
    assert one.keys() == two.keys()
    assert [name for name in one if name not in own and not torch.equal(one[name], two[name])] == []
    micro, weights = two[f"{scenes}micro"], two[f"{scenes}weights"]
    mean = one[f"{scenes}weights"].mean(0)
    assert len(micro) == len(weights) == len(two[f"{scenes}occupied"]) == 2
    for scene in range(2):
        assert micro[scene].abs().max() > 0
        assert not torch.equal(weights[scene], mean)
        assert (weights[scene] - mean).abs().max() < 0.3  # a random start is some 0.6 away
    assert not torch.equal(micro[0], micro[1])


def test_config_of_a_finished_run_has_everything_resolved(stage_one, stage_two, finger: str, tiny_atlas: Path) -> None:
    config = yaml.load(stage_two.config.read_text(), Loader=yaml.Loader)
    manifest = stage_one.manifest
    parser = config.pipeline.datamanager.dataparser
    assert config.data == config.pipeline.datamanager.data == parser.data == tiny_atlas
    assert config.pipeline.autoencoder == stage_one.folder
    assert config.pipeline.autoencoder_hash == finger == stage_two.manifest["model"]["fingerprint"]
    assert (config.pipeline.model.autoencoder.f, config.pipeline.model.autoencoder.width) == (4, 16)
    assert (config.pipeline.model.triplane.resolution, config.pipeline.model.triplane.bases) == (16, 3)
    assert parser.box == pytest.approx(manifest["model"]["box"])
    assert parser.scenes == ("4:6",)
    assert config.max_num_iterations == 12
    assert stage_two.manifest["model"]["box"] == pytest.approx(manifest["model"]["box"])


def test_stage_two_without_a_stage_one_says_what_to_run_first(command, tiny_atlas: Path, tmp_path: Path) -> None:
    result = command("ns-train", "tda-scenes", "--data", tiny_atlas, "--output-dir", tmp_path / "none")
    assert result.code == 1
    assert "Traceback" not in result.text
    assert f"No finished tda-ae run below {tmp_path}/none, and new scenes need one to start from." in result.flat
    assert "Run `ns-train tda-ae --data ATLAS` first" in result.flat


def test_broken_scenes_are_named_counted_and_left_out_while_the_others_train(trained, folder: Path) -> None:
    result = trained["broken"]
    assert result.code == 0, result.text
    assert "3 broken scenes left out:" in result.flat
    assert re.search(r"Scene 'vehicle_0001': Image \S+vehicle_0001/train/r_000.png ", result.flat)
    assert "Scene 'vehicle_0002': its images are 16 x 8, most scenes' are 32 x 32: another shape" in result.flat
    assert re.search(r"Scene 'vehicle_0003': transforms_train.json: the pose of '\S+' is not finite", result.flat)
    assert "3 scenes (vehicle_0000 ... vehicle_0005), 24 training and 6 held-out views, 32 x 32" in result.flat
    manifest = json.loads((folder / "out/broken/tda-ae/b/finished.json").read_text())
    assert manifest["scene_names"] == ["vehicle_0000", "vehicle_0004", "vehicle_0005"]
    assert list(manifest["metrics"]["left_out"]) == ["vehicle_0001", "vehicle_0003", "vehicle_0002"]


def test_ten_steps_rescale_the_phases_and_drop_none(trained, folder: Path) -> None:
    steps = phases(trained["broken"].text)
    assert list(steps) == ["warm-up", "latent", "joint", "start"]
    assert sum(steps.values()) == 10
    assert min(steps.values()) >= 1
    run = folder / "out/broken/tda-ae/b"
    assert json.loads((run / "finished.json").read_text())["steps"] == 10
    assert [path.name for path in (run / "nerfstudio_models").iterdir()] == ["step-000000009.ckpt"]


def test_the_rgb_baseline_trains_without_an_autoencoder(trained, folder: Path) -> None:
    assert trained["rgb"].code == 0, trained["rgb"].text
    manifest = json.loads((folder / "out/tiny/tda-rgb/rgb/finished.json").read_text())
    assert manifest["method"] == "tda-rgb"
    assert manifest["model"]["autoencoder"]["kind"] == "identity"
    assert manifest["metrics"]["ceiling_psnr"] == pytest.approx(100)


def test_the_rgb_baseline_does_not_speak_of_an_autoencoder(trained) -> None:
    assert "PSNR" in trained["rgb"].text
    assert "the autoencoder alone" not in trained["rgb"].flat


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ("no good scene", r"No good scene in \S+/bad: all 2 are broken. The first: Scene 'vehicle_0001': Image "),
        ("no data", r"The data folder \S+/nowhere does not exist. Give a folder with one sub-folder per scene."),
        ("empty data", r"The data folder \S+/empty is empty: it holds no scene. Give a folder with one sub-folder"),
        ("unknown scene", r"Unknown scene 'vehicle_00003'. Did you mean 'vehicle_0003'\? There are 6 scenes."),
        ("unknown active scene", r"Unknown scene 'vehicle_003' in \S+ \(4 scenes: .*\). Did you mean 'vehicle_0003'\?"),
        (
            "missing tensor",
            r"The checkpoint of step 11 does not fit.* missing: _model.autoencoder.decoder.deep.1.weight",
        ),
        (
            "misshaped tensor",
            r"other shapes: _model.field.scenes.weights is \(7, 3\), not \(4, 3\). Use the config.yml",
        ),
        ("no checkpoint", r"--load-dir \S+/empty holds no checkpoint \(step-\*.ckpt\). Give a run's nerfstudio_models"),
        ("other hash", r"has an autoencoder with hash {finger}, but this configuration expects 0123456789abcdef."),
        ("tampered autoencoder", r"holds an autoencoder with hash \w+, but this run was configured with {finger}"),
        ("not a stage one", r"/tda-scenes/two is a tda-scenes run; --pipeline.autoencoder needs a tda-ae run."),
    ],
)
def test_what_cannot_work_ends_with_its_reason_and_code_1(trained, finger: str, key: str, error: str) -> None:
    result = trained[key]
    assert result.code == 1, result.text
    assert "Traceback" not in result.text
    assert re.search(error.replace("{finger}", finger), result.flat), result.flat[-2000:]
