"""The views of scenes that are learnt together. Cameras are in memory; images are read when they are first needed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tda_nerfstudio.atlas.atlas import Atlas
from tda_nerfstudio.atlas.images import ImageStore
from tda_nerfstudio.atlas.posed import PosedImages
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.core.cameras import View
from tda_nerfstudio.store.manifest import DefaultCamera


class ViewTable:
    """All views of one split, scene after scene. A view's index counts through all scenes."""

    def __init__(self, posed: Sequence[PosedImages], width: int, height: int) -> None:
        self.counts = [len(views) for views in posed]
        self.offsets = list(accumulate(self.counts, initial=0))[:-1]
        """Index of each scene's first view."""
        self.view = View(*map(torch.cat, zip(*posed, strict=True)), width=width, height=height)
        self.labels = [path.stem for views in posed for path in views.paths]
        """Name of each view's image file, without its suffix."""
        self.files = ImageStore([picture for views in posed for picture in views.pictures], width, height)

    def __len__(self) -> int:
        return len(self.files)

    def scene_of(self, index: int) -> int:
        """Find the row of the scene that a view shows."""
        return bisect_right(self.offsets, index) - 1


class SceneViews:
    """The training and the held-out views of some scenes of an atlas."""

    def __init__(self, atlas: Atlas, device: torch.device | str = "cpu", tolerant: bool = False) -> None:
        """With `tolerant`, an unreadable image becomes NaN and `unreadable` names its scene; else it raises."""
        self.atlas, self.device, self.tolerant = atlas, device, tolerant
        self.names = list(atlas.names)
        self.width, self.height = atlas.width, atlas.height
        self.train = ViewTable([scene.train for scene in atlas.scenes], atlas.width, atlas.height)
        self.held_out = ViewTable([scene.test for scene in atlas.scenes], atlas.width, atlas.height)
        self.unreadable: dict[str, str] = {}
        """The reason for each scene that has an image that could not be read."""

    @property
    def pixels(self) -> int:
        """Count the pixels of an image."""
        return self.width * self.height

    def usual_camera(self, box: Float[Tensor, "2 3"]) -> DefaultCamera:
        """Choose the camera that shows scenes in a box by default: like those of the training images."""
        view = self.train.view
        distance = (view.c2w[:, :, 3] - box.cpu().mean(0)).norm(dim=-1).median()
        return DefaultCamera(self.width, self.height, float(view.fx.median()), float(distance))

    def only(self, rows: Sequence[int]) -> SceneViews:
        """Take some of the scenes, given by their rows, in that order. Images are read again."""
        some = replace(self.atlas, scenes=tuple(self.atlas.scenes[row] for row in rows))
        return type(self)(some, self.device, self.tolerant)

    def images(
        self, table: ViewTable, index: Int[Tensor, " view"], keep: bool = True
    ) -> Float[Tensor, "view 3 height width"]:
        """Read images of one of the two tables, in [0, 1], on the device. With `keep` they stay in memory.

        For an image that cannot be read, raises TdaError, or gives NaN if that is tolerated.
        """
        try:
            pixels = table.files.get(index.tolist(), keep).permute(0, 3, 1, 2)
        except TdaError as error:
            if len(index) > 1:
                return torch.cat([self.images(table, one, keep) for one in index.split(1)])
            name = self.names[table.scene_of(int(index))]
            if not self.tolerant:
                raise self.refusal(name, error) from error
            if name not in self.unreadable:
                self.unreadable[name] = str(error)
                CONSOLE.print(f"Scene '{name}' will be put aside: {error}", style="yellow", markup=False)
            return torch.full((1, 3, self.height, self.width), torch.nan, device=self.device)
        return pixels.to(self.device).float().div_(255)

    def refusal(self, scene: str, error: TdaError) -> TdaError:
        """Make the error for an image of a scene that cannot be read. Subclasses may add what to do about it."""
        return error

    def held_out_views(self) -> Iterator[tuple[int, View, Float[Tensor, "view 3 height width"]]]:
        """Yield each scene's row, its held-out cameras and their images in [0, 1], in order."""
        for s, (first, count) in enumerate(zip(self.held_out.offsets, self.held_out.counts, strict=True)):
            index = torch.arange(first, first + count)
            yield s, self.held_out.view[index].to(self.device), self.images(self.held_out, index)
