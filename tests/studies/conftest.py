"""Hand-made runs: the files that a run leaves, without training one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

CONFIG = """!!python/object:tda_nerfstudio.plugin.tda_trainer.TdaTrainerConfig
data: &id001 !!python/object/apply:pathlib.PosixPath
- {data}
experiment_name: cars
machine: !!python/object:gone.MachineConfig
  seed: 42
method_name: {method}
output_dir: !!python/object/apply:pathlib.PosixPath
- {output}
pipeline: !!python/object:tda_nerfstudio.plugin.tda_pipeline.TdaPipelineConfig
  autoencoder: {stage_one}
  autoencoder_hash: {fingerprint}
  datamanager: !!python/object:gone.Manager
    dataparser: !!python/object:gone.Parser
      data: *id001
      scenes: !!python/tuple
      - {data}/splits.json
    rays_per_view: null
    scenes_per_step: 2
    views_per_scene: 4
  schedule: !!python/object:tda_nerfstudio.learning.schedule.{schedule}
{options}
timestamp: {name}
"""
STAGES = {
    "tda-ae": ("StageOne", "    warmup_visits: 8\n    latent_visits: 8\n    joint_visits: 16\n    space: 3d-aware"),
    "tda-scenes": ("StageTwo", "    strategy: encode\n    encode_visits: 8"),
}


def scores(psnr: float, **more: float) -> dict[str, float]:
    return {"psnr": psnr, "ssim": 0.8, "sharpness": 0.7, "ceiling_psnr": 27.0, "ceiling_ssim": 0.9} | more


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Give tests `make_run(name, method, psnr, **changes)`: a run's folder; manifest entries set to None are left out.

    Two scenes, `bus` one dB below the mean and `van` one above.
    """
    (tmp_path / "data/cars").mkdir(parents=True)

    def make(name: str = "a", method: str = "tda-scenes", psnr: float = 20.0, stage_one: Path | None = None, **changes):
        output = tmp_path / "out"
        run = output / "cars" / method / name
        (run / "nerfstudio_models").mkdir(parents=True)
        schedule, options = STAGES[method]
        content = {"data": tmp_path / "data/cars", "output": output, "method": method, "name": name}
        content |= {"schedule": schedule, "options": options, "fingerprint": "f00d" if stage_one else "null"}
        content["stage_one"] = "null"
        if stage_one:
            content["stage_one"] = f"!!python/object/apply:pathlib.PosixPath [{stage_one}]"
        (run / "config.yml").write_text(CONFIG.format(**content))
        views = {"r_000": scores(psnr), "r_001": scores(psnr)}
        manifest: dict[str, Any] = {
            "method": method,
            "data": str(tmp_path / "data/cars"),
            "scene_names": ["bus", "van"],
            "image_size": [64, 64],
            "commands": [f"ns-train {method} --data {tmp_path}/data/cars --output-dir {output}"],
            "machine": {"processor": "Slow <1>", "cores": 2, "threads": 1, "device": "cpu"},
            "seed": 42,
            "steps": 4,
            "phases": [{"name": "encode-scene", "start": 0, "end": 4, "visits": 8, "timed_steps": 4, "seconds": 240.0}],
            "checkpoint": "nerfstudio_models/step-000000003.ckpt",
            "model": {"triplane": {"bases": 3}, "autoencoder": {"kind": "light", "f": 8, "channels": 4}}
            | {"fingerprint": "f00d", "box": [0.0]},
            "metrics": scores(psnr)
            | {"latent_std": [0.123456789], "latent_high_frequencies": 0.05}
            | {"march_seconds_per_view": 0.01, "decode_seconds_per_view": 0.004, "left_out": {}}
            | {"scenes": {n: scores(psnr + d) | {"views": views} for n, d in (("bus", -1), ("van", 1))}},
            "versions": {"torch": "2.9"},
        }
        manifest |= changes
        kept = {key: value for key, value in manifest.items() if value is not None}
        (run / "finished.json").write_text(json.dumps(kept))
        tensors = {"field.scenes.micro": (2, 30), "field.scenes.weights": (2, 3), "field.scenes.base": (3, 10)}
        tensors |= {"field.scenes.hidden.bias": (5,), "field.scenes.head.bias": (2,), "field.scenes.box": (2, 3)}
        tensors |= {"autoencoder.encoder.w": (7,), "autoencoder.decoder.w": (11,), "autoencoder.background": (4,)}
        state = {f"_model.{key}": torch.zeros(shape) for key, shape in tensors.items()}
        torch.save({"pipeline": state}, run / "nerfstudio_models/step-000000003.ckpt")
        return run

    return make


@pytest.fixture
def write_events() -> Callable[..., None]:
    """Give tests `write_events(run, {name: {step: value}})`."""

    def write(run: Path, scalars: dict[str, dict[int, float]]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(run)) as writer:
            for name, curve in scalars.items():
                for step, value in curve.items():
                    writer.add_scalar(name, value, step)

    return write
