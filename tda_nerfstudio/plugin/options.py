"""Which of nerfstudio's options a run of ours has: those that have an effect.

`Fixed` removes an option from `--help` and lets ns-train refuse it with exit code 2. The fields stay, as nerfstudio
reads them. A value given in Python or in a config.yml has no effect either.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nerfstudio.configs.base_config import LocalWriterConfig, LoggingConfig, MachineConfig, ViewerConfig
from nerfstudio.data.datamanagers.base_datamanager import VanillaDataManagerConfig
from nerfstudio.data.pixel_samplers import PixelSamplerConfig
from nerfstudio.engine.trainer import TrainerConfig
from nerfstudio.models.base_model import ModelConfig
from tyro.conf import Fixed

ALL = {
    "--data ATLAS": "folder with a sub-folder a scene",
    "--pipeline.datamanager.dataparser.scenes S ..": "names, globs, 0:24, splits.json",
    "--output-dir DIR": "for runs and latents (outputs)",
    "--timestamp NAME": "the run's name (when it began)",
    "--load-config RUN/config.yml": "go on with a run that was cut",
    "--max-num-iterations N": "rescale all phases to N steps",
    "--vis tensorboard": "no viewer (viewer+tensorboard)",
    "--viewer.websocket-port N": "7007, or the next that is free",
    "--machine.seed N": "of all randomness (42)",
}
"""The options that matter most, of all methods."""


def described(method: str, line: str, options: Mapping[str, str]) -> str:
    """Describe a method by a line, and by its main options where the command line names it."""
    if method not in sys.argv:
        return line
    rows = [f"  {option:<45} {meaning}" for option, meaning in (ALL | dict(options)).items()]
    return "\n".join([f"{line} What matters most:", "", *rows])


@dataclass
class DataManagerOptions(VanillaDataManagerConfig):
    """nerfstudio's datamanager, without the options that sample single pixels: whole images are served."""

    masks_on_gpu: Fixed[bool] = False
    images_on_gpu: Fixed[bool] = False
    train_num_rays_per_batch: Fixed[int] = 1024
    train_num_images_to_sample_from: Fixed[int] = -1
    train_num_times_to_repeat_images: Fixed[int] = -1
    eval_num_rays_per_batch: Fixed[int] = 1024
    eval_num_images_to_sample_from: Fixed[int] = -1
    eval_num_times_to_repeat_images: Fixed[int] = -1
    eval_image_indices: Fixed[tuple[int, ...] | None] = (0,)  # type: ignore[assignment]
    camera_res_scale_factor: Fixed[float] = 1.0
    patch_size: Fixed[int] = 1
    pixel_sampler: Fixed[PixelSamplerConfig] = field(default_factory=PixelSamplerConfig)


@dataclass
class ModelOptions(ModelConfig):
    """nerfstudio's model, without colliders (rays are clipped to the atlas' box) and options that only others read."""

    enable_collider: Fixed[bool] = False
    collider_params: Fixed[dict[str, float] | None] = None  # type: ignore[assignment]
    loss_coefficients: Fixed[dict[str, float]] = field(default_factory=dict)  # type: ignore[assignment]
    eval_num_rays_per_chunk: Fixed[int] = 4096
    prompt: Fixed[str | None] = None  # type: ignore[assignment]


@dataclass
class MachineOptions(MachineConfig):
    """One process, one device."""

    num_devices: Fixed[int] = 1
    num_machines: Fixed[int] = 1
    machine_rank: Fixed[int] = 0
    dist_url: Fixed[str] = "auto"


@dataclass
class LoggingOptions(LoggingConfig):
    """nerfstudio's logging, without its table of numbers: the training line takes its place."""

    local_writer: Fixed[LocalWriterConfig] = field(default_factory=LocalWriterConfig)
    profiler: Literal["none", "basic", "pytorch"] = "none"
    """how to profile the code: 'basic' prints the mean seconds of steps and evaluations at the end, 'pytorch' traces a
    few training steps too"""


@dataclass
class ViewerOptions(ViewerConfig):
    """nerfstudio's viewer: open to this machine alone, and closed when training ends."""

    relative_log_filename: Fixed[str] = "viewer_log_filename.txt"
    num_rays_per_chunk: Fixed[int] = 32768
    websocket_host: str = "127.0.0.1"
    """The address to listen at; with 0.0.0.0 everybody on your networks can open the viewer."""
    quit_on_train_completion: bool = True
    """Whether to end when training does; else the viewer stays until Ctrl-C."""


@dataclass
class TrainerOptions(TrainerConfig):
    """nerfstudio's trainer, without what phases decide (rates, schedulers) or only methods of single scenes need."""

    machine: MachineConfig = field(default_factory=MachineOptions)
    """Machine configuration"""
    logging: LoggingConfig = field(default_factory=LoggingOptions)
    """Logging configuration"""
    viewer: ViewerConfig = field(default_factory=ViewerOptions)
    """Viewer configuration"""
    method_name: Fixed[str | None] = None  # type: ignore[assignment]
    optimizers: Fixed[dict[str, Any]] = field(default_factory=dict)  # type: ignore[assignment]
    prompt: Fixed[str | None] = None  # type: ignore[assignment]
    relative_model_dir: Fixed[Path] = Path("nerfstudio_models")
    load_scheduler: Fixed[bool] = True
    use_grad_scaler: Fixed[bool] = False
    gradient_accumulation_steps: Fixed[dict[str, int]] = field(default_factory=dict)  # type: ignore[assignment]
