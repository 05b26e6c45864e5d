"""Training steps: those of every phase, and how they grow with scenes, rays and samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import nn

from tda_nerfstudio.core.objective import Batch
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.studies.bench import training
from tda_nerfstudio.studies.bench.timing import Case, Job
from tda_nerfstudio.studies.bench.training import PHASES, Training, module_bytes
from tda_nerfstudio.studies.bench.workshop import RGB, Workshop

BATCHES = 4
"""Batches that the steps of a case take in turn."""
SAMPLE_BYTES = {"ours": 500, "rgb": 300, "plain": 1300}
"""Memory that training keeps for a sample on a ray; measured."""
IMAGE_BYTES = 20e6
"""Memory that training through our autoencoder keeps for an image of 128 x 128; measured."""
PLAIN_CODEC_BYTES, PLAIN_IMAGE_BYTES = 1.5e9, 1.5e9
"""States of the plain autoencoder in training, and its memory for an image of 128 x 128; high estimates."""
IMAGES = (8, 4)
"""Scenes and views of each in Encode-Scene on whole images: 32, as many as a published step has."""


class StepCases:
    """Make cases of training steps; `quick` leaves out those through the plain autoencoder."""

    def __init__(self, shop: Workshop, quick: bool = False) -> None:
        self.shop, self.sizes, self.quick = shop, shop.sizes, quick

    def phases(self) -> list[Case]:
        """List every phase's step, each of ours with its method's batch."""
        cases = [
            *map(self.ours, ("warm-up", "latent", "joint", "encode-scene", "encode-scene, all moves", "decode-scene")),
            self.ours("encode-scene", "encode-scene, whole images", IMAGES),
            self.ours("encode-scene", "encode-scene, whole images, one ray", IMAGES, train_side=1),
            self.rgb("rgb, random rays"),
            self.rgb("rgb, whole image", whole=(1, 1)),
            self.plain("latent", 32),
            self.plain("encode-scene", 32),
            self.plain("rgb", 1, name="rgb, whole image"),
        ]
        if not self.quick:
            cases += [self.plain("joint", 1), self.plain("decode-scene", 1)]
        return cases

    def by_scenes(self) -> list[Case]:
        """List Encode-Scene's and RGB's step for numbers of scenes."""
        return [
            replace(case, name=f"{case.name}, {n} scenes", x=n)
            for n in self.sizes.many_scenes
            for case in (
                self.ours("encode-scene", scenes=n),
                self.rgb("rgb, random rays", scenes=n),
                self.plain("encode-scene", 32, scenes=n),
            )
        ]

    def by_rays(self) -> list[Case]:
        """List Encode-Scene's and RGB's step for numbers of rays; the published one has a ray for each latent pixel."""
        pixels, size = (self.sizes.image // self.sizes.f) ** 2, self.sizes.step
        return [
            replace(case, name=f"{case.name}, {8 * views * pixels} rays", x=8 * views * pixels)
            for views in self.sizes.many_views
            for rays in [8 * views * pixels // (size.at_once(self.sizes.scenes) * size.ray_views)]
            for case in (
                self.ours("encode-scene", rays=rays),
                self.rgb("rgb, random rays", rays=rays),
                self.plain("encode-scene", 8 * views),
            )
        ]

    def by_samples(self) -> list[Case]:
        """List Encode-Scene's and RGB's step for numbers of coarse samples, with as many fine ones."""
        return [
            replace(case, name=f"{case.name}, {n} samples", x=n)
            for n in self.sizes.many_samples
            for case in (
                self.ours("encode-scene", coarse=n, fine=n),
                self.rgb("rgb, random rays", samples=n),
                self.plain("encode-scene", 32, samples=n),
            )
        ]

    def ours(
        self,
        phase: str,
        name: str = "",
        whole: tuple[int, int] | None = None,
        scenes: int = 0,
        rays: int = 0,
        **sampling: int,
    ) -> Case:
        """Take a phase's step, on what its method's batch has or on `whole` images: V views of each of K scenes."""
        how = replace(self.sizes.sampling, **sampling)
        return self._own("ours", phase, name or phase, how, whole, scenes, rays)

    def rgb(
        self, name: str, whole: tuple[int, int] | None = None, scenes: int = 0, rays: int = 0, samples: int = 0
    ) -> Case:
        """Take a step of our RGB baseline: random rays, or `whole` images of V views of each of K scenes."""
        how = self.sizes.rgb_sampling
        how = replace(how, coarse=samples or how.coarse, fine=samples or how.fine)
        return self._own("rgb", "rgb", name, how, whole, scenes, rays)

    def _own(
        self,
        path: str,
        phase: str,
        name: str,
        how: SamplingConfig,
        whole: tuple[int, int] | None,
        scenes: int,
        rays: int,
    ) -> Case:
        shop, count, size, rgb = self.shop, scenes or self.sizes.scenes, self.sizes.step, path == "rgb"
        size = replace(size, rays=rays) if rays else size
        if whole is not None:
            size = replace(size, scenes=whole[0], views=whole[1], rays=None)
        f, sub = (RGB.f, RGB.sub or 1) if rgb else (self.sizes.f, self.sizes.sub)
        some = size.takes_parts(PHASES[phase])
        visited, views = size.at_once(count), size.ray_views if some else size.views

        def make() -> tuple[Training, tuple[nn.Module, ...]]:
            model, codec = shop.scenes(count, rgb), shop.no_codec() if rgb else shop.codec()
            return training.Ours(PHASES[phase], model, codec, how, shop.seed), (model, codec)

        images = size.images(PHASES[phase], count, (self.sizes.image // f * sub) ** 2)
        through = 0 if rgb else IMAGE_BYTES * visited * views * PHASES[phase].needs_images
        seen = images * (self.sizes.image / f * how.rays(sub, training=True)) ** 2
        needs = 12 * count * self.sizes.floats_a_scene(rgb) + through
        needs += seen * (how.coarse + how.fine) * SAMPLE_BYTES[path]
        drawn = (count, visited, views, rgb, size.rays if some else None)
        return _case(path, name, make, lambda i: shop.batch(i, *drawn), needs, images)

    def plain(self, phase: str, images: int, name: str = "", scenes: int = 0, samples: int = 0) -> Case:
        """Take a step of a published phase on random images."""
        shop, count, rgb = self.shop, scenes or self.sizes.scenes, phase == "rgb"
        through = phase in ("joint", "decode-scene")
        samples, f = samples or self.sizes.plain_samples, 1 if rgb else self.sizes.f
        background = shop.background[:3] if rgb else shop.background

        def make() -> tuple[Training, tuple[nn.Module | None, ...]]:
            codec = shop.plain_codec() if through else None
            model = shop.plain_scenes(count, rgb)
            return training.Plainly(phase, model, codec, f, background, samples, shop.seed), (model, codec)

        needs = 16 * count * self.sizes.floats_a_scene(rgb, published=True)
        needs += (PLAIN_CODEC_BYTES + images * PLAIN_IMAGE_BYTES) * through
        needs += images * (self.sizes.image / f) ** 2 * 2 * samples * SAMPLE_BYTES["plain"]
        return _case("plain", name or phase, make, lambda i: shop.random_batch(i, count, images, rgb), needs, images)


def _case(
    path: str,
    name: str,
    make: Callable[[], tuple[Training, tuple[nn.Module | None, ...]]],
    draw: Callable[[int], Batch],
    needs: float,
    images: float,
) -> Case:
    def ready() -> Job:
        trained, modules = make()
        batches = [draw(i) for i in range(BATCHES)]
        return Job(
            lambda watch: trained.step(batches[trained.steps % BATCHES], watch),
            lambda: module_bytes(*modules) + trained.state_bytes(),
        )

    return Case(path, name, ready, needs, images)
