"""Sizes of a bench at which everything takes milliseconds."""

from __future__ import annotations

from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.scenes import TriPlaneConfig
from tda_nerfstudio.learning.batches import StepSize
from tda_nerfstudio.studies.bench.workshop import BenchSizes

TINY = BenchSizes(
    image=16,
    scenes=3,
    autoencoder=AutoencoderConfig(f=4, channels=16, width=16, blocks=1),
    triplane=TriPlaneConfig(8, 3, 2, 2),
    sampling=SamplingConfig(4, 4, coarse_side=1),  # the vehicle is thinner than what shares a coarse pass
    rgb_triplane=TriPlaneConfig(8, 4, 0, 0),
    rgb_sampling=SamplingConfig(4, 4),
    step=StepSize(rays=8),
    plain_shape={"block_out_channels": (32, 32, 32), "layers_per_block": 1, "latent_channels": 4},
    plain_samples=4,
    many_scenes=(2, 4),
    many_views=(1, 2),
    many_samples=(2, 3),
    decoded=(1, 2),
    fit_scenes=2,
    fit_visits=64,
)
"""Pictures of 16 x 16 pixels, latents of 4 x 4, three scenes."""
