"""What is read of a scene: images whose cameras are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from tda_nerfstudio.atlas.images import Picture
from tda_nerfstudio.core.view import View


@dataclass(frozen=True, eq=False)
class PosedImages(View):
    """Cameras and the images that they took, all of one size; the world frame is that of the files."""

    pictures: tuple[Picture, ...] = field(kw_only=True)
    width: int = field(kw_only=True)
    height: int = field(kw_only=True)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The image files."""
        return tuple(picture.path for picture in self.pictures)

    def __getitem__(self, chosen: slice | Tensor | Sequence[int]) -> Self:
        """Choose some of the images, in the order asked for."""
        rows = torch.arange(len(self), device=self.fx.device)[chosen].tolist()
        return replace(super().__getitem__(chosen), pictures=tuple(self.pictures[row] for row in rows))

    def stretched(self, width: int, height: int) -> Self:
        """Give the cameras of the same images resampled to another size; each axis is scaled on its own."""
        return replace(self.scaled(width / self.width, height / self.height), width=width, height=height)


@dataclass(frozen=True)
class Scene:
    """One scene's train and test images, all of one size in pixels, sorted by file path."""

    name: str
    train: PosedImages
    test: PosedImages
    notes: tuple[str, ...] = ()
    """What reading did that the files do not ask for; the same words for the same thing in every scene."""

    @property
    def width(self) -> int:
        """Of every image, in pixels."""
        return self.train.width

    @property
    def height(self) -> int:
        """Of every image, in pixels."""
        return self.train.height

    def resized(self, width: int, height: int) -> Scene:
        """Give the scene with its images resampled to another size."""
        return replace(self, train=self.train.stretched(width, height), test=self.test.stretched(width, height))
