"""ns-eval and the four sub-commands of ns-render, unchanged, on runs of ours."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow
SCORES = {"psnr", "ssim", "sharpness", "ceiling_psnr", "ceiling_ssim", "ceiling_sharpness"}


@pytest.fixture(scope="module")
def ffmpeg(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a PATH with an ffmpeg on it: the system's, else imageio-ffmpeg's under that name."""
    path = os.environ.get("PATH", "")
    if shutil.which("ffmpeg"):
        return path
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="ns-render needs an ffmpeg on PATH")
    folder = tmp_path_factory.mktemp("bin")
    (folder / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    return f"{folder}{os.pathsep}{path}"


@pytest.fixture(scope="module")
def rendered(commands, stage_one, ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render scenes of stage 1 in every way; give the folder that holds the pictures by key."""
    folder = tmp_path_factory.mktemp("rendered")
    camera = np.eye(4)
    camera[:3] = [[1, 0, 0, 0], [0, 0, -1, -1.9], [0, 1, 0, 0]]
    cameras = [{"camera_to_world": camera.flatten().tolist(), "fov": 39.6, "aspect": 1.6}] * 3
    path = {"camera_type": "perspective", "render_height": 24, "render_width": 40, "fps": 3, "seconds": 1}
    (folder / "path.json").write_text(json.dumps(path | {"camera_path": cameras}))
    images = ["--output-format", "images", "--image-format", "png"]
    kinds = {
        "first": ["interpolate", *images, "--interpolation-steps", "2"],
        "third": ["interpolate", *images, "--interpolation-steps", "2"],
        "spiral": ["spiral", *images, "--seconds", "1", "--frame-rate", "3"],
        "path": ["camera-path", "--camera-path-filename", folder / "path.json", *images],
        "video.mp4": ["camera-path", "--camera-path-filename", folder / "path.json"],
        "dataset": ["dataset", "--rendered-output-names", "rgb", "gt-rgb", "latent", "--image-format", "png"],
    }
    lines = {key: [*w, "--load-config", stage_one.config, "--output-path", folder / key] for key, w in kinds.items()}
    chosen = {"third": {"TDA_SCENE": "vehicle_0002"}, "dataset": {"TDA_SCENE": "vehicle_0002"}}
    results = commands("ns-render", lines, {key: {"PATH": ffmpeg} | chosen.get(key, {}) for key in lines})
    for key, result in results.items():
        assert result.code == 0, f"{key}: {result.text}"
    return folder


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_interpolate_renders_the_chosen_scene(rendered: Path) -> None:
    first, third = (sorted((rendered / key).glob("*.png")) for key in ("first", "third"))
    assert len(first) == len(third) == 2  # between two held-out views
    assert pixels(first[0]).shape == (32, 32, 3)
    assert (pixels(first[0]) != pixels(third[0])).any()


def test_dataset_renders_every_held_out_view_of_the_chosen_scene(rendered: Path, tiny_atlas: Path) -> None:
    for output in ("rgb", "latent", "gt-rgb"):
        names = sorted(path.name for path in (rendered / "dataset/test" / output).iterdir())
        assert names == ["r_000.png", "r_001.png"]
    truth = Image.open(tiny_atlas / "vehicle_0002/test/r_001.png")
    white = Image.alpha_composite(Image.new("RGBA", truth.size, "white"), truth).convert("RGB")
    assert np.abs(pixels(rendered / "dataset/test/gt-rgb/r_001.png") - np.asarray(white).astype(int)).max() <= 1


def test_spiral_and_camera_paths_render_their_own_sizes(rendered: Path) -> None:
    assert [pixels(path).shape for path in (rendered / "spiral").glob("*.png")] == [(32, 32, 3)] * 3
    assert [pixels(path).shape for path in (rendered / "path").glob("*.png")] == [(24, 40, 3)] * 3


def test_a_camera_path_becomes_a_video(rendered: Path) -> None:
    import imageio.v2 as imageio

    with imageio.get_reader(rendered / "video.mp4") as video:
        assert [frame.shape for frame in video] == [(24, 40, 3)] * 3


def test_ns_eval_scores_every_scene_and_view_by_name(command, stage_two, tmp_path: Path) -> None:
    words = ["--load-config", stage_two.config, "--output-path", tmp_path / "scores.json"]
    result = command("ns-eval", *words, "--render-output-path", tmp_path / "pairs", cwd=tmp_path)
    assert result.code == 0, result.text
    content = json.loads((tmp_path / "scores.json").read_text())
    assert content["method_name"] == "tda-scenes"
    assert content["checkpoint"] == str(stage_two.models / "step-000000011.ckpt")
    scores = content["results"]
    assert list(scores["scenes"]) == ["vehicle_0004", "vehicle_0005"]
    for scene in scores["scenes"].values():
        assert list(scene["views"]) == ["r_000", "r_001"]
        assert all(set(view) == SCORES for view in scene["views"].values())
    views = [view for scene in scores["scenes"].values() for view in scene["views"].values()]
    for key in SCORES:
        assert scores[key] == pytest.approx(sum(view[key] for view in views) / 4)
        assert scores[key] == pytest.approx(stage_two.manifest["metrics"][key], abs=1e-4)
    assert sorted(path.name for path in (tmp_path / "pairs").iterdir()) == ["vehicle_0004", "vehicle_0005"]
