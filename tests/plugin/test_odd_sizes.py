"""Images that are not square and whose sides do not divide by f."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image


@pytest.fixture
def wide_atlas(tiny_atlas: Path, tmp_path: Path) -> Path:
    """Widen two vehicles' images to 37 x 29 pixels around their middles."""
    for number in range(2):
        source, folder = tiny_atlas / f"vehicle_000{number}", tmp_path / "wide" / f"wide [{number}]"
        for split in ("train", "test"):
            content = json.loads((source / f"transforms_{split}.json").read_text())
            (folder / split).mkdir(parents=True)
            for path in (source / split).iterdir():
                image = Image.new("RGBA", (37, 29), (0, 0, 0, 0))
                image.paste(Image.open(path).resize((29, 29)), (4, 0))
                image.save(folder / split / path.name)
            content |= {"w": 37, "h": 29, "cx": 18.5, "cy": 14.5, "fl_x": content["fl_x"] * 29 / 32}
            content["fl_y"] = content["fl_x"]
            (folder / f"transforms_{split}.json").write_text(json.dumps(content))
    return tmp_path / "wide"


def test_sizes_that_do_not_divide_by_f_are_trained_scored_and_rendered(wide_atlas: Path, configure: Callable) -> None:
    config = configure("tda-ae", scenes=(), steps=3, data=wide_atlas)
    pipeline = config.pipeline.setup(device="cpu", test_mode="val")
    assert (pipeline.datamanager.atlas.width, pipeline.datamanager.atlas.height) == (37, 29)
    for step in range(3):
        assert all(loss.isfinite() for loss in pipeline.learner.step(step).values())
    camera = pipeline.datamanager.eval_dataset.cameras[0:1]
    outputs = pipeline.model.get_outputs_for_camera(camera)
    assert outputs["rgb"].shape == (29, 37, 3)
    images = pipeline.datamanager.views.images(pipeline.datamanager.views.train, torch.tensor([0, 1]))
    codec = pipeline.model.autoencoder
    latents = codec.encode(images)
    assert latents.shape[-2:] == (8, 10)  # 29 / 4 and 37 / 4, rounded up
    assert codec.decode(latents)[..., :29, :37].shape == images.shape
    metrics = pipeline.get_average_eval_image_metrics()
    assert metrics["psnr"] > 0
