"""One scene of a store: its record, and images of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tda_nerfstudio.core import showing
from tda_nerfstudio.core.cameras import View
from tda_nerfstudio.core.showing import OneScene
from tda_nerfstudio.core.triplane import fuse
from tda_nerfstudio.core.view import image_size
from tda_nerfstudio.store.learnt_scene import LearntScene, Record
from tda_nerfstudio.store.shared_parts import DefaultCamera, SharedParts

PIXELS_TOGETHER = 1 << 20
"""Image pixels to render at once, which bounds memory: 64 views of 128 x 128."""


@torch.no_grad()
def sight(shared: SharedParts, learnt: LearntScene) -> OneScene:
    """Prepare a scene to be rendered on the device of its shared parts, as `core.showing.show` takes it.

    Nothing is written to the shared parts, so that several threads can render different scenes. If the scene has no
    `occupied`, its cells are looked up in its planes.
    """
    table, codec = shared.scenes, shared.autoencoder
    own = (part.to(table.box.device) for part in (learnt.micro, learnt.weights))
    micro, weights = own
    planes = fuse(micro[None], weights[None], table.base)
    occupied = table.filled(planes[0], codec.background) if learnt.occupied is None else learnt.occupied
    return table, planes, occupied[None].to(planes.device), codec


class StoredScene:
    """One scene of a store, which renders on the device that the shared parts are on."""

    def __init__(self, shared: SharedParts, camera: DefaultCamera, learnt: LearntScene) -> None:
        self.shared, self.camera, self.learnt = shared, camera, learnt

    def __repr__(self) -> str:
        facts = [f"{self.camera.width} x {self.camera.height} pixels", *mean_psnr([self.record])]
        facts += [] if self.record.finished else ["unfinished"]
        return f"<StoredScene {self.record.name!r}: {', '.join(facts)}>"

    @property
    def record(self) -> Record:
        """The scene's name, metrics and provenance."""
        return self.learnt.record

    @cached_property
    def occupied(self) -> Bool[Tensor, "G G G"]:
        """Cells, indexed [x, y, z], that are not empty: as stored, else as its planes tell."""
        return sight(self.shared, self.learnt)[2][0]

    @torch.no_grad()
    def render(
        self, view: View, height: int | None = None, width: int | None = None, progress: bool = False
    ) -> Float[Tensor, "view 3 height width"]:
        """Render any number of cameras, a few at a time: images in [0, 1] on the CPU.

        Their size is `height` x `width`, one of which follows from the other; else the view's; else that of the
        training images. A change of size keeps in sight all that the view sees. `progress` shows a bar. Cameras with a
        longer focal length than the training images' are enlarged, as `core.showing.show` does. Raises TdaError for a
        size that is none.
        """
        scene, sampling = sight(self.shared, self.learnt), self.shared.config.sampling
        wide, high = view.width or self.camera.width, view.height or self.camera.height
        if height is None and width is not None:
            height = max(round(width * high / wide), 1)
        if width is None and height is not None:
            width = max(round(height * wide / high), 1)
        width, height = image_size((width or wide, height or high))
        view = view.resized(width, height).to(scene[1].device)
        images = torch.empty(len(view), 3, height, width)
        together = max(PIXELS_TOGETHER // (height * width), 1)
        starts = range(0, len(view), together)
        if progress:
            from rich.progress import track

            starts = track(starts, description=f"Rendering {self.record.name}")
        for start in starts:
            some = view[start : start + together]
            shown = showing.show(*scene, some, height, width, sampling, self.camera.focal, ("rgb",))
            images[start : start + together] = shown["rgb"].cpu()
        return images


def mean_psnr(records: Sequence[Record]) -> list[str]:
    """Say the mean PSNR of those scenes that have one, in a list of one text; else return an empty list."""
    known = [record.metrics["psnr"] for record in records if isinstance(record.metrics.get("psnr"), float | int)]
    return [f"PSNR {sum(known) / len(known):.2f} dB"] if known else []
