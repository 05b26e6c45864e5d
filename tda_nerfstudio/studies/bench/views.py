"""What happens without training: rendering a view, decoding latents, opening a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.showing import decode, march
from tda_nerfstudio.studies.bench import plain
from tda_nerfstudio.studies.bench.timing import Case, Job, Stopwatch
from tda_nerfstudio.studies.bench.training import module_bytes
from tda_nerfstudio.studies.bench.workshop import RGB, Workshop

RAY_BYTES = 70_000
"""Memory that rendering keeps for a ray of 96 samples at most; measured."""
PLAIN_DECODE_BYTES = 0.6e9
"""Memory of the plain autoencoder while it decodes an image of 128 x 128; measured."""
MOST_PLAIN_IMAGES = 8
"""Decoded by the plain autoencoder at once; 32 take half a minute."""


class ViewCases:
    """Make cases of a workshop's scenes and autoencoders at work; runs that open are kept in `folder`."""

    def __init__(self, shop: Workshop, folder: Path, quick: bool = False) -> None:
        self.shop, self.sizes, self.folder, self.quick = shop, shop.sizes, folder, quick

    def views(self) -> list[Case]:
        """List one view at full size, from a scene's row to its image."""
        how = self.sizes.sampling
        return [
            self._ours("view", how),
            self._ours("view, 2 x 2 rays", replace(how, side=2)),
            self._ours("view, one ray", replace(how, side=1)),
            self._ours("view", self.sizes.rgb_sampling, rgb=True),
            self._plain("view"),
            self._plain("view, rgb", rgb=True),
        ]

    def decodes(self) -> list[Case]:
        """List decoding for numbers of images; few of them by the plain autoencoder, which takes seconds."""
        most = 1 if self.quick else MOST_PLAIN_IMAGES
        return [
            *(self._decode("ours", n, self.sizes.autoencoder.channels, self.shop.codec) for n in self.sizes.decoded),
            *(
                self._decode("plain", n, plain.PlainAutoencoder.channels, self.shop.plain_codec)
                for n in self.sizes.decoded
                if n <= most
            ),
        ]

    def opens(self) -> list[Case]:
        """List opening a run: building the model, and loading its state from a file that was just written."""
        shop, count = self.shop, self.sizes.scenes
        return [
            self._open("ours", lambda: nn.ModuleList([shop.scenes(count), shop.codec()])),
            self._open("rgb", lambda: shop.scenes(count, rgb=True)),
            self._open("plain", lambda: nn.ModuleList([shop.plain_scenes(count), shop.plain_codec()])),
        ]

    def _ours(self, name: str, how: SamplingConfig, rgb: bool = False) -> Case:
        shop, count = self.shop, self.sizes.scenes

        def make() -> Job:
            scenes, codec = shop.scenes(count, rgb), shop.no_codec() if rgb else shop.codec()
            batch, size = shop.batch(0, count, 1, 1, rgb), (self.sizes.image, self.sizes.image)

            @torch.no_grad()
            def run(watch: Stopwatch) -> None:
                with watch.part("fuse"):
                    planes = scenes.planes(batch.scene)
                with watch.part("march"):
                    seen = march(scenes, planes, scenes.occupied[batch.scene], codec, batch.view, *size, how)
                with watch.part("decode"):
                    decode(codec, seen, *size)

            return Job(run, lambda: module_bytes(scenes, codec))

        f, sub = (RGB.f, RGB.sub or 1) if rgb else (self.sizes.f, self.sizes.sub)
        rays = (self.sizes.image / f * how.rays(sub)) ** 2
        needs = 4 * count * self.sizes.floats_a_scene(rgb) + RAY_BYTES * rays
        return Case("rgb" if rgb else "ours", name, make, needs)

    def _plain(self, name: str, rgb: bool = False) -> Case:
        shop, count = self.shop, self.sizes.scenes
        f, background = (1, shop.background[:3]) if rgb else (self.sizes.f, shop.background)

        def make() -> Job:
            scenes, codec = shop.plain_scenes(count, rgb), None if rgb else shop.plain_codec()
            batch = shop.batch(0, count, 1, 1, rgb)

            @torch.no_grad()
            def run(watch: Stopwatch) -> None:
                with watch.watching((scenes, "planes", "fuse"), (plain, "march", "march")):
                    y = plain.render(scenes, batch, f, background, self.sizes.plain_samples)[1]
                if codec is not None:
                    with watch.part("decode"):
                        codec.decode(codec.denormalise(y))

            return Job(run, lambda: module_bytes(scenes, codec))

        needs = 4 * count * self.sizes.floats_a_scene(rgb, published=True) + RAY_BYTES * (self.sizes.image / f) ** 2
        return Case("plain", name, make, needs + PLAIN_DECODE_BYTES * (not rgb))

    def _decode(
        self, path: str, images: int, channels: int, build: Callable[[], Autoencoder | plain.PlainAutoencoder]
    ) -> Case:
        shape = (images, channels, *[self.sizes.image // self.sizes.f] * 2)

        def make() -> Job:
            codec = build()
            z = torch.randn(shape, generator=torch.Generator().manual_seed(self.shop.seed)).to(self.shop.device)

            @torch.no_grad()
            def run(watch: Stopwatch) -> None:
                with watch.part("decode"):
                    codec.decode(z)

            return Job(run, lambda: module_bytes(codec))

        needs = PLAIN_DECODE_BYTES * images if path == "plain" else 0
        return Case(path, f"decode, {images} image{'s' * (images > 1)}", make, needs, images)

    def _open(self, path: str, build: Callable[[], nn.Module]) -> Case:
        file = self.folder / f"{path}.pt"

        def make() -> Job:
            torch.save(build().state_dict(), file)

            def run(watch: Stopwatch) -> None:
                with watch.part("build"):
                    model = build()
                with watch.part("load"):
                    model.load_state_dict(torch.load(file, map_location=self.shop.device, weights_only=True))

            return Job(run, lambda: file.stat().st_size)

        needs = 8 * self.sizes.scenes * self.sizes.floats_a_scene(path == "rgb") + 2 * PLAIN_DECODE_BYTES
        return Case(path, "open a run", make, needs)
