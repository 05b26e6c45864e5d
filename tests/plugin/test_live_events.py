"""Live images and numbers reach TensorBoard, Weights & Biases and Comet through nerfstudio's writer."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from nerfstudio.configs import base_config  # noqa: F401 (the writer cannot be imported before it)
from nerfstudio.utils import writer
from PIL import Image

from tda_nerfstudio.learning.curves import Curves
from tda_nerfstudio.plugin import live_events
from tda_nerfstudio.plugin.live_events import LiveEvents, beside

PAIR = "Live/autoencoder at the start and now"


@pytest.fixture(autouse=True)
def only_these_writers() -> Iterator[None]:
    """Leave out the writers of other tests' trainers, and put them back."""
    others, writer.EVENT_WRITERS[:] = [*writer.EVENT_WRITERS], []
    yield
    writer.EVENT_WRITERS[:] = others
    writer.EVENT_STORAGE.clear()


def trained(config) -> Any:
    """Train a run to its end."""
    config.steps_per_eval_image, config.logging.steps_per_log = 4, 1
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    trainer.train()
    return trainer


def read_back(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    return events


def test_tensorboard_files_hold_images_and_numbers_of_the_due_steps(configure: Callable) -> None:
    trainer = trained(configure())
    for one in writer.EVENT_WRITERS:
        one.tb_writer.flush()
    events = read_back(trainer.base_dir)
    assert {"Live/strip", PAIR} <= {*events.Tags()["images"]}
    strips = events.Images("Live/strip")
    assert [image.step for image in strips] == [4, 8]
    assert [(image.width, image.height) for image in strips] == [(4 * 32, 32)] * 2
    assert [(image.width, image.height) for image in events.Images(PAIR)] == [(2 * 32, 32)] * 2
    first, last = (Image.open(io.BytesIO(image.encoded_image_string)) for image in strips)
    assert first.tobytes() != last.tobytes()
    scalars = {*events.Tags()["scalars"]}
    assert {"Train Loss Dict/ae", "Train Loss Dict/latent", "Train Loss Dict/rgb"} <= scalars
    for name in ("high frequencies encoded", "high frequencies rendered", "psnr decoded", "psnr started"):
        assert [value.step for value in events.Scalars(f"Live/{name}")] == [4, 8]


def test_curves_go_on_in_a_run_that_is_resumed(configure: Callable) -> None:
    trainer = trained(configure())
    losses = trainer.pipeline.live.losses()
    assert losses["ae"][0] == [0, 1, 2, 3, 8, 9, 10, 11] and losses["rgb"][0] == [8, 9, 10, 11]
    config = configure()
    config.load_dir = trainer.checkpoint_dir
    resumed = config.setup(local_rank=0, world_size=1)
    resumed.setup()
    assert resumed.pipeline.live.losses() == losses
    path = trainer.checkpoint_of(11)
    state = torch.load(path, weights_only=True)
    del state["history"]["curves"]  # as checkpoints of before have none
    torch.save(state, path)
    older = config.setup(local_rank=0, world_size=1)
    older.setup()
    assert older.pipeline.live.losses() == {}


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand in for wandb and comet_ml; give what they are handed, by their names for it."""
    found: dict[str, Any] = {}

    class Experiment:
        def __init__(self, **options: Any) -> None:
            self.set_name = self.log_parameters = lambda *args, **options: None

        def log_image(self, image: Any, name: str, step: int) -> None:
            found[f"comet {name}"] = (step, image)

        def log_metric(self, name: str, value: float, step: int) -> None:
            found[f"comet {name}"] = (step, value)

    def log(values: dict[str, Any], step: int) -> None:
        found.update({f"wandb {name}": (step, value) for name, value in values.items()})

    wandb = SimpleNamespace(init=lambda **options: None, log=log, Image=lambda image: image)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "comet_ml", SimpleNamespace(Experiment=Experiment))
    return found


def test_weights_and_biases_and_comet_get_the_same(pipeline, logged: dict[str, Any], tmp_path: Path) -> None:
    writer.setup_event_writer(True, False, True, tmp_path, "tiny")
    pipeline.live.note(7, {})
    LiveEvents(pipeline.live).write()
    writer.write_out_storage()
    step, strip = logged["comet Live/strip"]
    assert step == 7 and strip.shape == (32, 4 * 32, 3) and strip.dtype == torch.float32
    assert float(strip.min()) >= 0 and float(strip.max()) <= 1
    assert torch.equal(logged["wandb Live/strip"][1], strip.permute(2, 0, 1))  # wandb takes channels first
    assert logged[f"wandb {PAIR}"][1].shape == (3, 32, 2 * 32)
    for name in ("high frequencies encoded", "psnr reconstructed"):
        assert logged[f"wandb Live/{name}"] == logged[f"comet Live/{name}"]


def test_without_a_writer_nothing_is_looked_at_and_an_error_is_said_once(
    pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    looks = []

    def fail() -> None:
        looks.append(1)
        raise RuntimeError("out of memory")

    events = LiveEvents(pipeline.live)
    monkeypatch.setattr(pipeline.live, "look", fail)
    events.write()
    assert not looks
    writer.EVENT_WRITERS.append(SimpleNamespace())
    events.write()
    events.write()
    assert len(looks) == 2
    assert capsys.readouterr().out == "Live images cannot be written. out of memory\n"


def test_latents_keep_their_pixels_as_squares_beside_the_truth(pipeline) -> None:
    sight = pipeline.live.look()
    strip = beside(sight, live_events.STRIP)
    latent = strip[:, 32:64].permute(2, 0, 1)
    assert torch.equal(latent[:, ::2, ::2], sight.images["encoded"])
    assert torch.equal(latent[:, 1::2, 1::2], sight.images["encoded"])
    assert pipeline.live.curves.state() != Curves().state()
