"""What the cases are made of: sizes, vehicles, batches, and the scenes and autoencoders of each path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import avg_pool2d, pixel_shuffle, pixel_unshuffle

from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.autoencoder.build import build, resolve
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.base.randomness import seeded
from tda_nerfstudio.core.cameras import View
from tda_nerfstudio.core.objective import Batch, Parts, latent_variance
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.scenes import LatentScenes, TriPlaneConfig
from tda_nerfstudio.learning.batches import StepSize
from tda_nerfstudio.learning.latents import PIXEL_VARIANCE
from tda_nerfstudio.learning.silhouettes import draw_parts, parts_near
from tda_nerfstudio.studies.bench import ellipsoids, plain
from tda_nerfstudio.studies.bench.timing import Stopwatch

BODY = (0.46, 0.19, 0.16)
"""Half axes of the ellipsoid that is dense in scenes which are timed and not fitted."""
VEHICLES, VIEWS = 8, 8
"""Pictures that batches draw from; more scenes share these vehicles."""
RGB = resolve(AutoencoderConfig("identity"))
"""What our RGB path has in place of an autoencoder."""


@dataclass(frozen=True)
class BenchSizes:
    """How big everything is. The defaults are those of the methods and of the published design.

    The autoencoder is the light one, whose latents are learnt and smaller than the image, as the published one's are.
    """

    image: int = 128
    scenes: int = 40
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    triplane: TriPlaneConfig = field(default_factory=lambda: TriPlaneConfig(macro_channels=22))
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    rgb_triplane: TriPlaneConfig = field(default_factory=lambda: TriPlaneConfig(64, 16, 0, 0))
    rgb_sampling: SamplingConfig = field(default_factory=SamplingConfig)
    step: StepSize = field(default_factory=StepSize)
    """What a step of ours and of RGB sees."""
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

    def planes(self, rgb: bool = False, published: bool = False) -> TriPlaneConfig:
        """Choose Tri-Planes: the published RGB scenes own as many features as latent scenes have in all."""
        if rgb and published:
            return replace(self.triplane, micro_channels=self.triplane.channels, macro_channels=0, bases=0)
        return self.rgb_triplane if rgb else self.triplane

    def floats_a_scene(self, rgb: bool = False, published: bool = False) -> int:
        """Count the numbers that belong to one scene alone."""
        config = self.planes(rgb, published)
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

    def batch(
        self, step: int, scenes: int, visited: int, views: int, rgb: bool = False, rays: int | None = None
    ) -> Batch:
        """Draw V views of each of K different scenes out of N: whole, or some random parts of each."""
        generator = seeded(self.seed, step, "bench")
        scene = torch.randperm(scenes, generator=generator)[:visited]
        slot = torch.arange(len(scene)).repeat_interleave(views)
        chosen = torch.cat([torch.randperm(VIEWS, generator=generator)[:views] for _ in scene])
        whole = self._batch(scene, slot, chosen, self._rgb_latents if rgb else self._latents)
        if rays is None:
            return whole
        f, sub = (RGB.f, RGB.sub or 1) if rgb else (self.sizes.f, self.sizes.sub)
        index = self._draw_parts(scene[slot] % VEHICLES, chosen, f // sub, rays, generator).to(self.device)
        assert whole.latents is not None
        latents = pixel_shuffle(whole.latents, sub).flatten(2)
        variance = latent_variance(latents[..., None], together=False)[..., 0]
        if rgb:
            variance = torch.full_like(variance[:1, :1], PIXEL_VARIANCE)
        latents = latents.gather(2, index[:, None].expand(-1, latents.shape[1], -1))
        return whole._replace(latents=None, parts=Parts(index, latents, variance))

    def _draw_parts(
        self, vehicle: Tensor, chosen: Tensor, size: int, count: int, generator: torch.Generator
    ) -> Int[Tensor, "view part"]:
        """Draw parts of size x size pixels as training does: most of them at the vehicle."""
        background, drawn = torch.tensor(ellipsoids.BACKGROUND)[:, None, None], []
        parts = (self.sizes.image // size) ** 2
        for v, c in zip(vehicle.tolist(), chosen.tolist(), strict=True):
            near = parts_near((self.pictures[v, c] != background).any(0), size)
            drawn.append(draw_parts(near, parts, count, generator))
        return torch.stack(drawn)

    def random_batch(self, step: int, scenes: int, images: int, rgb: bool = False) -> Batch:
        """Draw images of N scenes, each for itself, as the published design does."""
        generator = seeded(self.seed, step, "bench")
        drawn = torch.randint(scenes, (images,), generator=generator)
        scene, slot = drawn.unique(return_inverse=True)
        chosen = torch.randint(VIEWS, (images,), generator=generator)
        return self._batch(scene, slot, chosen, (lambda pictures: 2 * pictures[:, :3] - 1) if rgb else self.latents)

    def _latents(self, pictures: Tensor) -> Tensor:
        """Make latents with the channels of our autoencoder: pictures have four, and repeat them."""
        channels = self.sizes.autoencoder.channels
        return self.latents(pictures).repeat(1, -(-channels // ellipsoids.CHANNELS), 1, 1)[:, :channels]

    def _rgb_latents(self, pictures: Tensor) -> Tensor:
        return pixel_unshuffle(2 * pictures[:, :3] - 1, RGB.f)

    def _batch(self, scene: Tensor, slot: Tensor, chosen: Tensor, latents: Callable[[Tensor], Tensor]) -> Batch:
        size = self.sizes.image
        pictures = self.pictures[scene[slot] % VEHICLES, chosen]
        view = self.view[chosen].to(self.device)
        scene, slot, images, z = (t.to(self.device) for t in (scene, slot, pictures[:, :3], latents(pictures)))
        return Batch(scene, slot, view, size, size, images, z)

    def codec(self) -> Autoencoder:
        """Build our autoencoder, untrained, with its background measured."""
        codec = build(self.sizes.autoencoder, self.seed).to(self.device)
        codec.measure_background(self.sizes.image, self.sizes.image)
        return codec

    def no_codec(self) -> Autoencoder:
        """Build the identity, for our RGB scenes."""
        return build(RGB).to(self.device)

    def plain_codec(self) -> plain.PlainAutoencoder:
        """Build the plain autoencoder. Raises TdaError where diffusers is missing."""
        return plain.PlainAutoencoder(self.sizes.plain_shape, self.seed).to(self.device)

    def scenes(self, count: int, rgb: bool = False) -> LatentScenes:
        """Make scenes of ours whose density fills a vehicle's body, in a box that fits it."""
        config = self.sizes.planes(rgb)
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
        config = self.sizes.planes(rgb, published=True)
        channels = 3 if rgb else plain.PlainAutoencoder.channels
        scenes = plain.PlainScenes(
            count, channels, config.micro_channels, config.macro_channels, config.bases, config.resolution, self.seed
        )
        ellipsoids.read_body(scenes.mlp[0], scenes.mlp[2])  # type: ignore[arg-type]
        box = torch.tensor([[-1.0] * 3, [1.0] * 3])
        scenes.micro.data[:, :, 0] = ellipsoids.body_planes(torch.tensor([BODY]), box, config.resolution)
        return scenes.to(self.device)
