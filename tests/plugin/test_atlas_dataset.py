"""Viewer, renderer, training and stock methods see the same pixels, whatever the files are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tda_nerfstudio.atlas.images import read_image
from tda_nerfstudio.plugin.tda_dataparser import TdaAtlasConfig


def deep(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


KINDS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "grey and alpha": lambda image: image.convert("LA"),
    "palette": lambda image: image.convert("RGB").quantize(16),
    "one bit": lambda image: image.convert("1"),
    "16 bits": deep,
    "opaque": lambda image: image.convert("RGB"),
    "larger": lambda image: image.resize((64, 64)),
    "as they are": lambda image: image,
}


@pytest.fixture
def atlas_of(tiny_atlas: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Give tests `atlas_of(kind, **camera)`: two vehicles whose images are of that kind, under names with brackets."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(kind: str, **camera: object) -> Path:
        for number, name in enumerate(("car [v2]", "größe 100%")):
            source, folder = tiny_atlas / f"vehicle_000{number}", tmp_path / "atlas" / name
            for split in ("train", "test"):
                content = json.loads((source / f"transforms_{split}.json").read_text())
                (folder / split).mkdir(parents=True)
                for path in (source / split).iterdir():
                    image = Image.open(path)
                    (KINDS[kind](image) if number == 0 else image).save(folder / split / path.name)
                (folder / f"transforms_{split}.json").write_text(json.dumps(content | camera))
        return tmp_path / "atlas"

    return make


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("camera", [{}, {"k1": -0.2, "p1": 0.01}], ids=["straight", "bent"])
def test_all_see_the_same_pixels(atlas_of: Callable, configure: Callable, kind: str, camera: dict) -> None:
    from nerfstudio.data.datasets.base_dataset import InputDataset

    root = atlas_of(kind, **camera)
    manager = configure("tda-rgb", scenes=(), data=root).pipeline.datamanager.setup(device="cpu")
    width, height = manager.atlas.width, manager.atlas.height
    for number, name in enumerate(manager.scene_names):
        manager.select_scene(name)
        picture = manager.atlas.scenes[number].train.pictures[3]
        truth = read_image(picture, width, height)
        trained = manager.views.images(manager.views.train, torch.tensor([8 * number + 3]))[0].permute(1, 2, 0)
        assert torch.equal(trained, truth.float() / 255)
        assert torch.equal(manager.train_dataset[3]["image"], truth.float() / 255)
        assert torch.equal(manager.train_dataset.get_image_uint8(3), truth)
        _, batch = next(iter(manager.fixed_indices_eval_dataloader))
        assert batch["image"].shape == (height, width, 3)
        outputs = TdaAtlasConfig(data=root, scene=name).setup().get_dataparser_outputs("train")
        assert (InputDataset(outputs)[3]["image"] - truth.float() / 255).abs().max() <= 0.51 / 255
        assert manager.train_dataset.image_filenames[3].is_relative_to(root)


def test_a_stock_splat_manager_undistorts_nothing_twice(atlas_of: Callable) -> None:
    from nerfstudio.data.datamanagers.full_images_datamanager import FullImageDatamanagerConfig

    root = atlas_of("palette", k1=-0.2)
    config = FullImageDatamanagerConfig(dataparser=TdaAtlasConfig(data=root), cache_images="gpu")
    manager = config.setup(device="cpu", test_mode="val")
    camera, batch = manager.next_train(0)
    assert batch["image"].shape == (32, 32, 3) and camera.distortion_params is None


def test_what_is_odd_about_an_atlas_is_said_before_training(
    atlas_of: Callable, configure: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    root = atlas_of("opaque", k1=-0.2)
    for path in (root / "car [v2]").rglob("*.png"):
        noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    (root / "car [v3]/images").mkdir(parents=True)
    configure("tda-rgb", scenes=(), data=root)
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "2 scenes (car [v2] ... größe 100%)" in said
    assert "Note: lens distortion is undone (2 of 2 scenes, the first is 'car [v2]')." in said
    assert "1 broken scene left out: Scene 'car [v3]':" in said
    assert "1 of 2 scenes have a background that is not white ('car [v2]')." in said


def test_an_ordinary_atlas_has_nothing_odd(
    tiny_atlas: Path, configure: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("tda-rgb", scenes=(), data=tiny_atlas)
    said = capsys.readouterr().out
    assert "Mind" not in said and "Note" not in said
