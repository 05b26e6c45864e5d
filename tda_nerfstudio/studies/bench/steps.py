"""Training steps: those of every phase, and how they grow with scenes, rays and samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import nn

from tda_nerfstudio.core.objective import Batch
from tda_nerfstudio.studies.bench import training
from tda_nerfstudio.studies.bench.timing import Case, Job
from tda_nerfstudio.studies.bench.training import PHASES, Training, module_bytes
from tda_nerfstudio.studies.bench.workshop import Workshop

BATCHES = 4
"""Batches that the steps of a case take in turn."""
SAMPLE_BYTES = {"ours": 500, "rgb": 300, "plain": 1300}
"""Memory that training keeps for a sample on a ray; measured."""
IMAGE_BYTES = 20e6
"""Memory that training through our autoencoder keeps for an image of 128 x 128; measured."""
PLAIN_CODEC_BYTES, PLAIN_IMAGE_BYTES = 1.5e9, 1.5e9
"""States of the plain autoencoder in training, and its memory for an image of 128 x 128; high estimates."""
IMAGES = (8, 4)
"""Scenes and views of each in Encode-Scene: 32 images, as many as a published step has."""


class StepCases:
    """Make cases of training steps; `quick` leaves out those through the plain autoencoder."""

    def __init__(self, shop: Workshop, quick: bool = False) -> None:
        self.shop, self.sizes, self.quick = shop, shop.sizes, quick

    def phases(self) -> list[Case]:
        """List every phase's step, each of ours with its method's batch."""
        cases = [
            *(self.ours(phase, 8, 2) for phase in ("warm-up", "latent", "joint")),
            self.ours("encode-scene", *IMAGES),
            self.ours("encode-scene", *IMAGES, name="encode-scene, one ray", train_side=1),
            self.ours("encode-scene, all moves", *IMAGES),
            self.ours("decode-scene", 4, 1),
            self.rgb("rgb, random rays", rays=self.sizes.rgb_rays),
            self.rgb("rgb, whole image", 1, 1),
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
                self.ours("encode-scene", *IMAGES, scenes=n),
                self.rgb("rgb, random rays", rays=self.sizes.rgb_rays, scenes=n),
                self.plain("encode-scene", 32, scenes=n),
            )
        ]

    def by_rays(self) -> list[Case]:
        """List Encode-Scene's and RGB's step for numbers of latent pixels (with one ray or several) or pixels."""
        pixels = (self.sizes.image // self.sizes.f) ** 2
        return [
            replace(case, name=f"{case.name}, {8 * views * pixels} pixels", x=8 * views * pixels)
            for views in self.sizes.many_views
            for case in (
                self.ours("encode-scene", 8, views),
                self.rgb("rgb, random rays", rays=views * pixels // 4),
                self.plain("encode-scene", 8 * views),
            )
        ]

    def by_samples(self) -> list[Case]:
        """List Encode-Scene's and RGB's step for numbers of coarse samples, with as many fine ones."""
        return [
            replace(case, name=f"{case.name}, {n} samples", x=n)
            for n in self.sizes.many_samples
            for case in (
                self.ours("encode-scene", *IMAGES, coarse=n, fine=n),
                self.rgb("rgb, random rays", rays=self.sizes.rgb_rays, samples=n),
                self.plain("encode-scene", 32, samples=n),
            )
        ]

    def ours(self, phase: str, visited: int, views: int, name: str = "", scenes: int = 0, **sampling: int) -> Case:
        """Take a step of a phase on V views of each of K scenes."""
        shop, count = self.shop, scenes or self.sizes.scenes
        how = replace(self.sizes.sampling, **sampling)

        def make() -> tuple[Training, tuple[nn.Module, ...]]:
            model, codec = shop.scenes(count), shop.codec()
            return training.Ours(PHASES[phase], model, codec, how, shop.seed), (model, codec)

        images, f = min(visited, count) * views, self.sizes.f
        rays = images * (self.sizes.image / f * how.rays(self.sizes.sub, training=True)) ** 2
        needs = 12 * count * self.sizes.floats_a_scene() + images * IMAGE_BYTES
        needs += rays * (how.coarse + how.fine) * SAMPLE_BYTES["ours"]
        return _case("ours", name or phase, make, lambda i: shop.batch(i, count, visited, views, f), needs, images)

    def rgb(
        self,
        name: str,
        visited: int = 4,
        views: int = 8,
        rays: int | None = None,
        scenes: int = 0,
        samples: int = 0,
    ) -> Case:
        """Take a step of our RGB baseline on V views of each of K scenes: some random rays of each, or all of them."""
        shop, count, how = self.shop, scenes or self.sizes.scenes, self.sizes.rgb_sampling
        how = replace(how, coarse=samples or how.coarse, fine=samples or how.fine)

        def make() -> tuple[Training, tuple[nn.Module, ...]]:
            model = shop.scenes(count, rgb=True)
            return training.Ours(PHASES["rgb"], model, shop.no_codec(), how, shop.seed), (model,)

        pixels = self.sizes.image**2
        images = min(visited, count) * views * (1 if rays is None else rays / pixels)
        needs = 12 * count * self.sizes.floats_a_scene(rgb=True)
        needs += images * pixels * (how.coarse + how.fine) * SAMPLE_BYTES["rgb"]
        return _case("rgb", name, make, lambda i: shop.batch(i, count, visited, views, 1, rays), needs, images)

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

        needs = 16 * count * self.sizes.floats_a_scene(rgb) + (PLAIN_CODEC_BYTES + images * PLAIN_IMAGE_BYTES) * through
        needs += images * (self.sizes.image / f) ** 2 * 2 * samples * SAMPLE_BYTES["plain"]
        return _case("plain", name or phase, make, lambda i: shop.random_batch(i, count, images, f), needs, images)


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
