"""The methods that ns-train sees: tda-ae (stage 1), tda-scenes (stage 2) and tda-rgb (the baseline)."""

from __future__ import annotations

import torch
from nerfstudio.plugins.types import MethodSpecification

from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.core.scenes import TriPlaneConfig
from tda_nerfstudio.learning.schedule import RgbBaseline, StageOne, StageTwo
from tda_nerfstudio.plugin.options import MachineOptions, described
from tda_nerfstudio.plugin.tda_model import TdaModelConfig
from tda_nerfstudio.plugin.tda_pipeline import TdaPipelineConfig
from tda_nerfstudio.plugin.tda_trainer import TdaTrainerConfig

COLOURS = AutoencoderConfig(kind="colours")


def _method(name: str, pipeline: TdaPipelineConfig) -> TdaTrainerConfig:
    """Make a method's configuration: any device, a viewer that ends with the run, learning rates set by phases."""
    return TdaTrainerConfig(
        method_name=name,
        pipeline=pipeline,
        machine=MachineOptions(device_type="cuda" if torch.cuda.is_available() else "cpu"),
        vis="viewer+tensorboard",
        steps_per_save=500,
        steps_per_eval_batch=0,
        steps_per_eval_image=200,
        steps_per_eval_all_images=0,
        mixed_precision=False,
    )


tda_ae = MethodSpecification(
    _method(
        "tda-ae",
        TdaPipelineConfig(
            schedule=StageOne(), model=TdaModelConfig(autoencoder=COLOURS, triplane=TriPlaneConfig(starter=32))
        ),
    ),
    description=described(
        "tda-ae",
        "Stage 1: learn the 3D-aware autoencoder (3Da-AE) together with N latent Tri-Plane scenes.",
        {
            "--pipeline.model.triplane.bases N": "base planes of all scenes (50)",
            "--pipeline.schedule.latent-visits N": "scenes alone (256 steps)",
            "--pipeline.schedule.joint-visits N": "a scene, everything moves (8)",
            "--pipeline.schedule.start-visits N": "of the starter (48 steps)",
            "--pipeline.schedule.rates.GROUP R": "learning rates, see below",
        },
    ),
)
tda_scenes = MethodSpecification(
    _method(
        "tda-scenes",
        TdaPipelineConfig(
            schedule=StageTwo(),
            starts_from="stage-one",
            model=TdaModelConfig(autoencoder=COLOURS),
        ),
    ),
    description=described(
        "tda-scenes",
        "Stage 2: learn many new scenes in the latent space of a finished tda-ae run.",
        {
            "--pipeline.autoencoder RUN": "start from this tda-ae (newest)",
            "--pipeline.store DIR": "where scenes go (RUN/store)",
            "--pipeline.scenes-per-wave K": "learn K scenes at a time (all)",
            "--pipeline.schedule.strategy S": "encode, decode (encode-decode)",
            "--pipeline.schedule.encode-visits N": "of Encode-Scene (1,024 steps)",
            "--pipeline.schedule.decode-visits N": "of Decode-Scene (0)",
            "--pipeline.schedule.rates.GROUP R": "learning rates, see below",
        },
    ),
)
tda_rgb = MethodSpecification(
    _method(
        "tda-rgb",
        TdaPipelineConfig(
            schedule=RgbBaseline(),
            model=TdaModelConfig(
                autoencoder=AutoencoderConfig(kind="identity"),
                triplane=TriPlaneConfig(micro_channels=16, macro_channels=0, bases=0),
            ),
        ),
    ),
    description=described(
        "tda-rgb",
        "The baseline: RGB Tri-Planes of each scene on its own, without an autoencoder.",
        {
            "--pipeline.schedule.visits N": "a scene (1,024 steps)",
            "--pipeline.schedule.rates.GROUP R": "learning rates, see below",
        },
    ),
)
