"""One scene of a store, and how it is rendered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tda_nerfstudio.core import showing
from tda_nerfstudio.core.cameras import View
from tda_nerfstudio.core.scenes import LatentScenes
from tda_nerfstudio.core.view import image_size
from tda_nerfstudio.store.learnt_scene import LearntScene, Record
from tda_nerfstudio.store.shared_parts import DefaultCamera, SharedParts

PIXELS_TOGETHER = 1 << 20
"""Image pixels that are rendered at once, to bound memory: 64 views of 128 x 128."""


@torch.no_grad()
def put(table: LatentScenes, learnt: LearntScene, background: Tensor) -> None:
    """Put a scene into the only row of a table; where it is not empty is looked up if nobody says so."""
    table.micro.copy_(learnt.micro.reshape(1, -1))
    table.weights.copy_(learnt.weights[None])
    if learnt.occupied is None:
        table.refresh(torch.tensor([0], device=table.box.device), background, grow=False)
    else:
        table.occupied.copy_(learnt.occupied[None])


class StoredScene:
    """One scene of a store, ready to be rendered on the device that the shared parts are on."""

    def __init__(self, shared: SharedParts, camera: DefaultCamera, learnt: LearntScene) -> None:
        self.shared, self.camera, self.learnt = shared, camera, learnt

    def __repr__(self) -> str:
        facts = [f"{self.camera.width} x {self.camera.height} pixels", *mean_psnr([self.record])]
        facts += [] if self.record.finished else ["unfinished"]
        return f"<StoredScene {self.record.name!r}: {', '.join(facts)}>"

    @property
    def record(self) -> Record:
        """Its name, metrics and provenance."""
        return self.learnt.record

    @cached_property
    def occupied(self) -> Bool[Tensor, "G G G"]:
        """Where the scene is not empty: as it was learnt, or as its planes say."""
        if self.learnt.occupied is None:
            put(self.shared.scenes, self.learnt, self.shared.autoencoder.background)
            return self.shared.scenes.occupied[0].clone()
        return self.learnt.occupied

    @torch.no_grad()
    def render(
        self, view: View, height: int | None = None, width: int | None = None, progress: bool = False
    ) -> Float[Tensor, "view 3 height width"]:
        """Render cameras as images in [0, 1], on the CPU, however many: a few at a time.

        By default images have the size that the view says, else that of the images that the scene was learnt from. In
        another size all that was in sight stays in sight. `core.showing.show` says what a longer focal length does.
        """
        table, codec, sampling = self.shared.scenes, self.shared.autoencoder, self.shared.config.sampling
        device = table.box.device
        put(table, replace(self.learnt, occupied=self.occupied), codec.background)
        wide, high = view.width or self.camera.width, view.height or self.camera.height
        if height is None and width is not None:
            height = max(round(width * high / wide), 1)
        if width is None and height is not None:
            width = max(round(height * wide / high), 1)
        width, height = image_size((width or wide, height or high))
        view, planes = view.resized(width, height).to(device), table.planes(torch.tensor([0], device=device))
        images = torch.empty(len(view), 3, height, width)
        together, scene = max(PIXELS_TOGETHER // (height * width), 1), (table, planes, table.occupied, codec)
        for start in _tracked(range(0, len(view), together), f"Rendering {self.record.name}", progress):
            some = view[start : start + together]
            shown = showing.show(*scene, some, height, width, sampling, self.camera.focal, ("rgb",))
            images[start : start + together] = shown["rgb"].cpu()
        return images


def mean_psnr(records: Sequence[Record]) -> list[str]:
    """Tell the mean PSNR of those scenes that have one."""
    known = [record.metrics["psnr"] for record in records if isinstance(record.metrics.get("psnr"), float | int)]
    return [f"PSNR {sum(known) / len(known):.2f} dB"] if known else []


def _tracked(starts: Sequence[int], what: str, progress: bool) -> Iterable[int]:
    if not progress:
        return starts
    from rich.progress import track

    return track(starts, description=what)
