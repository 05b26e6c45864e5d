"""The views of scenes that learn together: cameras in memory, images read when they are first needed."""

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


class ViewTable:
    """All views of one split, scene after scene: a view's index counts through all scenes."""

    def __init__(self, posed: Sequence[PosedImages], width: int, height: int) -> None:
        self.counts = [len(views) for views in posed]
        self.starts = list(accumulate(self.counts, initial=0))[:-1]
        self.view = View(*map(torch.cat, zip(*posed, strict=True)), width=width, height=height)
        self.labels = [path.stem for views in posed for path in views.paths]
        """Name of each view's image file, without its suffix."""
        self.files = ImageStore([picture for views in posed for picture in views.pictures], width, height)

    def __len__(self) -> int:
        return len(self.files)

    def scene_of(self, index: int) -> int:
        """Find the scene that a view is of."""
        return bisect_right(self.starts, index) - 1


class SceneViews:
    """The training and the held-out views of some scenes of an atlas."""

    def __init__(self, atlas: Atlas, device: torch.device | str = "cpu", tolerant: bool = False) -> None:
        """With `tolerant`, an image that cannot be read becomes NaN and its scene is noted; else it raises."""
        self.atlas, self.device, self.tolerant = atlas, device, tolerant
        self.names = list(atlas.names)
        self.width, self.height = atlas.width, atlas.height
        self.train = ViewTable([scene.train for scene in atlas.scenes], atlas.width, atlas.height)
        self.held_out = ViewTable([scene.test for scene in atlas.scenes], atlas.width, atlas.height)
        self.unreadable: dict[str, str] = {}
        """Scenes with images that could not be read, and the reasons."""

    @property
    def pixels(self) -> int:
        """Count the pixels of an image."""
        return self.width * self.height

    def only(self, rows: Sequence[int]) -> SceneViews:
        """Take some of the scenes, by their places, as if there were no others."""
        some = replace(self.atlas, scenes=tuple(self.atlas.scenes[row] for row in rows))
        return type(self)(some, self.device, self.tolerant)

    def images(
        self, table: ViewTable, index: Int[Tensor, " view"], keep: bool = True
    ) -> Float[Tensor, "view 3 height width"]:
        """Read images of one of the two tables, in [0, 1], on the device; keep them in memory unless told otherwise.

        Raises TdaError, or gives NaN where that is tolerated, for an image that cannot be read.
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
        """Say that a scene's image cannot be read; others may add what to do about it."""
        return error

    def held_out_views(self) -> Iterator[tuple[int, View, Float[Tensor, "view 3 height width"]]]:
        """Go through the scenes in order: place, held-out cameras and their images in [0, 1]."""
        for s, (start, count) in enumerate(zip(self.held_out.starts, self.held_out.counts, strict=True)):
            index = torch.arange(start, start + count)
            yield s, self.held_out.view[index].to(self.device), self.images(self.held_out, index)
