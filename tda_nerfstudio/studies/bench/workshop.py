"""What the cases are made of: sizes, vehicles, batches, and the scenes and autoencoders of each path."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.autoencoder.build import build, resolve
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.base.randomness import seeded
from tda_nerfstudio.core.cameras import View
from tda_nerfstudio.core.objective import Batch
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.scenes import LatentScenes, TriPlaneConfig
from tda_nerfstudio.studies.bench import ellipsoids, plain
from tda_nerfstudio.studies.bench.timing import Stopwatch

BODY = (0.46, 0.19, 0.16)
"""Half axes of the ellipsoid that is dense in scenes which are timed and not fitted."""
VEHICLES, VIEWS = 8, 8
"""Pictures that batches draw from; more scenes share these vehicles."""


@dataclass(frozen=True)
class BenchSizes:
    """How big everything is. The defaults are those of the methods and of the published design."""

    image: int = 128
    scenes: int = 40
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    triplane: TriPlaneConfig = field(default_factory=TriPlaneConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    rgb_triplane: TriPlaneConfig = field(default_factory=lambda: TriPlaneConfig(64, 32, 0, 0))
    rgb_sampling: SamplingConfig = field(default_factory=lambda: SamplingConfig(48, 48, 1, 1))
    rgb_rays: int = 128
    """Random rays of each of the 32 images of an RGB step."""
    plain_shape: dict[str, Any] = field(default_factory=lambda: plain.SD_SHAPE)
    plain_samples: int = plain.SAMPLES
    many_scenes: tuple[int, ...] = (10, 100, 1000)
    many_views: tuple[int, ...] = (1, 2, 4)
    many_samples: tuple[int, ...] = (6, 12, 24, 48)
    decoded: tuple[int, ...] = (1, 8, 32)
    fit_scenes: int = 4
    fit_visits: int = 240

    @property
    def f(self) -> int:
        """Down-scaling of every autoencoder here."""
        return self.autoencoder.f

    @property
    def sub(self) -> int:
        """Parts per side of a latent pixel of ours."""
        return resolve(self.autoencoder).sub or 1

    def floats_a_scene(self, rgb: bool = False) -> int:
        """Count the numbers that belong to one scene alone."""
        config = self.rgb_triplane if rgb else self.triplane
        return 3 * config.resolution**2 * config.micro_channels + config.bases


class Workshop:
    """Make scenes, autoencoders and batches for one device, the same for the same seed."""

    def __init__(self, sizes: BenchSizes, device: torch.device, seed: int = 0) -> None:
        self.sizes, self.device, self.seed = sizes, device, seed
        self.box = torch.tensor(ellipsoids.BOX)
        self.background = 2 * torch.tensor(ellipsoids.BACKGROUND, device=device) - 1

    def stopwatch(self) -> Stopwatch:
        """Time this workshop's device."""
        return Stopwatch(self.device)

    @cached_property
    def view(self) -> View:
        """The cameras of all vehicles' pictures."""
        return ellipsoids.cameras((18.0,), VIEWS, self.sizes.image)

    @cached_property
    def pictures(self) -> Float[Tensor, "scene view 4 height width"]:
        """Pictures of all vehicles, in [0, 1]."""
        drawn = [ellipsoids.make_vehicle(self.seed + s) for s in range(VEHICLES)]
        return torch.stack([ellipsoids.pictures(vehicle, self.view, self.sizes.image) for vehicle in drawn])

    def latents(self, pictures: Float[Tensor, "view 4 height width"]) -> Float[Tensor, "view 4 h w"]:
        """Average pictures over latent pixels, in (-1, 1): exact latents."""
        return 2 * avg_pool2d(pictures, self.sizes.f) - 1

    def batch(self, step: int, scenes: int, visited: int, views: int, f: int, rays: int | None = None) -> Batch:
        """Draw V views of each of K different scenes out of N."""
        generator = seeded(self.seed, step, "bench")
        scene = torch.randperm(scenes, generator=generator)[:visited]
        slot = torch.arange(len(scene)).repeat_interleave(views)
        chosen = torch.cat([torch.randperm(VIEWS, generator=generator)[:views] for _ in scene])
        return self._batch(scene, slot, chosen, f, rays, self.sizes.autoencoder.channels, generator)

    def random_batch(self, step: int, scenes: int, images: int, f: int) -> Batch:
        """Draw images of N scenes, each for itself, as the published design does."""
        generator = seeded(self.seed, step, "bench")
        drawn = torch.randint(scenes, (images,), generator=generator)
        scene, slot = drawn.unique(return_inverse=True)
        chosen, channels = torch.randint(VIEWS, (images,), generator=generator), plain.PlainAutoencoder.channels
        return self._batch(scene, slot, chosen, f, None, channels, generator)

    def _batch(
        self,
        scene: Tensor,
        slot: Tensor,
        chosen: Tensor,
        f: int,
        rays: int | None,
        channels: int,
        generator: torch.Generator,
    ) -> Batch:
        size = self.sizes.image
        pictures = self.pictures[scene[slot] % VEHICLES, chosen]
        images = pictures[:, :3]
        # Pictures have four channels; latents that have more repeat them.
        again = -(-channels // ellipsoids.CHANNELS)
        latents = self.latents(pictures).repeat(1, again, 1, 1)[:, :channels] if f > 1 else 2 * images - 1
        pixels = None if rays is None else torch.randint(size * size, (len(slot), rays), generator=generator)
        view = self.view[chosen].to(self.device)
        tensors = [None if t is None else t.to(self.device) for t in (scene, slot, images, latents, pixels)]
        return Batch(tensors[0], tensors[1], view, size, size, *tensors[2:])  # type: ignore[arg-type]

    def codec(self) -> Autoencoder:
        """Build our autoencoder, untrained, with its background measured."""
        codec = build(self.sizes.autoencoder, self.seed).to(self.device)
        codec.measure_background(self.sizes.image, self.sizes.image)
        return codec

    def no_codec(self) -> Autoencoder:
        """Build the identity, for RGB scenes."""
        return build(AutoencoderConfig("identity")).to(self.device)

    def plain_codec(self) -> plain.PlainAutoencoder:
        """Build the plain autoencoder. Raises TdaError where diffusers is missing."""
        return plain.PlainAutoencoder(self.sizes.plain_shape, self.seed).to(self.device)

    def scenes(self, count: int, rgb: bool = False) -> LatentScenes:
        """Make scenes of ours whose density fills a vehicle's body, in a box that fits it."""
        config = self.sizes.rgb_triplane if rgb else self.sizes.triplane
        channels = 3 if rgb else self.sizes.autoencoder.channels // self.sizes.sub**2
        scenes = LatentScenes(count, channels, config, self.seed)
        scenes.box.copy_(self.box)
        ellipsoids.read_body(scenes.hidden, scenes.head)
        shape = (count, 3, config.resolution, config.resolution, config.micro_channels)
        body = ellipsoids.body_planes(torch.tensor([BODY]), self.box, config.resolution)
        scenes.micro.data.view(shape)[..., 0] = body
        scenes.refresh(torch.tensor([0]), torch.ones(scenes.channels), grow=False)
        scenes.occupied.copy_(scenes.occupied[:1].expand_as(scenes.occupied))
        return scenes.to(self.device)

    def plain_scenes(self, count: int, rgb: bool = False) -> plain.PlainScenes:
        """Make the same scenes for the plain path, whose box is [-1, 1]^3."""
        config = self.sizes.rgb_triplane if rgb else self.sizes.triplane
        channels = 3 if rgb else plain.PlainAutoencoder.channels
        scenes = plain.PlainScenes(
            count, channels, config.micro_channels, config.macro_channels, config.bases, config.resolution, self.seed
        )
        ellipsoids.read_body(scenes.mlp[0], scenes.mlp[2])  # type: ignore[arg-type]
        box = torch.tensor([[-1.0] * 3, [1.0] * 3])
        scenes.micro.data[:, :, 0] = ellipsoids.body_planes(torch.tensor([BODY]), box, config.resolution)
        return scenes.to(self.device)
