"""Tiny scenes on disk: the same cameras and pictures in any of the three layouts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FOCAL = 1.2  # in image widths


def orbit(count: int, distance: float = 2.0) -> np.ndarray:
    """Return [count, 4, 4] OpenGL cameras on a spiral around the origin, z up, looking at it."""
    poses = []
    for index in range(count):
        azimuth, elevation = 2.4 * index, 1.2 * (index + 0.5) / count - 0.2
        back = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
        right = np.cross([0.0, 0.0, 1.0], back)
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3] = np.stack([right, np.cross(back, right), back, distance * back], axis=1)
        poses.append(pose)
    return np.stack(poses)


def render_box(pose: np.ndarray, size: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Ray-cast a box whose colour is 40 to 200 by position; RGBA, straight alpha, transparent outside."""
    pixels = np.arange(size) + 0.5
    x, y = np.meshgrid(pixels - size / 2, -(pixels - size / 2))
    rays = np.stack([x, y, np.full_like(x, -FOCAL * size)], -1) @ pose[:3, :3].T
    ends = np.stack([(low - pose[:3, 3]) / rays, (high - pose[:3, 3]) / rays])
    enter, leave = ends.min(0).max(-1), ends.max(0).min(-1)
    hit = pose[:3, 3] + enter[..., None] * rays
    rgba = np.zeros((size, size, 4))
    rgba[..., :3] = 40 + 160 * np.clip((hit - low) / (high - low), 0, 1)
    rgba[..., 3] = 255
    return np.where((enter < leave)[..., None], rgba, 0).astype(np.uint8)


def write_scene(
    folder: Path, layout: str, count: int = 6, size: int = 8, held_out: int = 0, mode: str = "RGBA", low=-0.3, high=0.3
) -> Path:
    """Write one scene; the last `held_out` views are the test split where the layout can name one."""
    (folder / "rgb").mkdir(parents=True)
    low, high = np.broadcast_to(low, 3), np.broadcast_to(high, 3)
    camera = {"fl_x": FOCAL * size, "fl_y": FOCAL * size, "cx": size / 2, "cy": size / 2, "w": size, "h": size}
    frames = []
    for index, pose in enumerate(orbit(count)):
        image = Image.fromarray(render_box(pose, size, low, high))
        if mode == "RGB":
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image).convert("RGB")
        name = f"rgb/{index:06d}.png"
        image.save(folder / name)
        frames.append({"file_path": name, "transform_matrix": pose.tolist()})
        if layout == "srn":
            (folder / "pose").mkdir(exist_ok=True)
            opencv = pose @ np.diag([1, -1, -1, 1])
            (folder / f"pose/{index:06d}.txt").write_text(" ".join(f"{value:.9f}" for value in opencv.flatten()))
    train, test = frames[: count - held_out], frames[count - held_out :]
    if layout == "srn":
        c = camera
        (folder / "intrinsics.txt").write_text(f"{c['fl_x']} {c['cx']} {c['cy']} 0.\n0. 0. 0.\n1.\n{size} {size}\n")
    elif layout == "nerfstudio":
        lists = {"train_filenames": train, "test_filenames": test} if held_out else {}
        named = {key: [frame["file_path"] for frame in views] for key, views in lists.items()}
        (folder / "transforms.json").write_text(json.dumps({**camera, **named, "frames": frames}))
    else:
        (folder / "transforms_train.json").write_text(json.dumps({**camera, "frames": train}))
        if held_out:
            (folder / "transforms_test.json").write_text(json.dumps({**camera, "frames": test}))
    return folder


@pytest.fixture
def scene_at() -> Callable[..., Path]:
    """Give tests `write_scene(folder, layout, ...)`."""
    return write_scene
