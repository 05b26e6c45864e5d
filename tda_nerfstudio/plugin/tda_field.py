"""The field: one scene of the table in the form that nerfstudio expects."""

from __future__ import annotations

import torch
from nerfstudio.cameras.rays import RaySamples
from nerfstudio.field_components.field_heads import FieldHeadNames
from nerfstudio.fields.base_field import Field
from torch import Tensor

from tda_nerfstudio.core.scenes import LatentScenes, TriPlaneConfig


class LatentTriPlaneField(Field):
    """Wrap the table of scenes, and show the active one to nerfstudio's own samplers and exporters.

    Densities are per unit of world length. RGB holds the normalised latent of a point, in (-1, 1).
    """

    def __init__(self, scenes: int, latent_channels: int, config: TriPlaneConfig, box: Tensor, seed: int) -> None:
        super().__init__()
        self.scenes = LatentScenes(scenes, latent_channels, config, seed)
        self.scenes.box.copy_(box)
        self.active = 0
        """Row of the scene that is shown."""

    def get_density(self, ray_samples: RaySamples) -> tuple[Tensor, Tensor]:
        """Compute the active scene's densities at ray samples, [..., 1], and the MLP's hidden layer there."""
        points = ray_samples.frustums.get_positions()
        planes = self.scenes.planes(torch.tensor([self.active], device=points.device))
        flat = points.reshape(-1, 3)
        features = self.scenes.features(planes, flat, torch.zeros(len(flat), dtype=torch.long, device=flat.device))
        density = self.scenes.density(features) * self.scenes.length_scale()
        return density.view(*points.shape[:-1], 1), features.view(*points.shape[:-1], -1)

    def get_outputs(self, ray_samples: RaySamples, density_embedding: Tensor | None = None) -> dict:
        """Compute the active scene's normalised latents at the samples of `get_density`, from its hidden layer."""
        assert density_embedding is not None
        _, colour = self.scenes.density_and_colour(density_embedding.flatten(0, -2))
        return {FieldHeadNames.RGB: (2 * colour - 1).view(*density_embedding.shape[:-1], -1)}
