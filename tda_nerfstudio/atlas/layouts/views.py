"""What is read of a scene: posed pictures of one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.atlas.images import Picture


@dataclass(frozen=True, eq=False)
class Views:
    """Posed images: OpenGL camera-to-world in the files' world frame, intrinsics in pixels of the full image."""

    pictures: tuple[Picture, ...]
    c2w: Float[Tensor, "view 3 4"]
    fx: Float[Tensor, " view"]
    fy: Float[Tensor, " view"]
    cx: Float[Tensor, " view"]
    cy: Float[Tensor, " view"]

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The image files."""
        return tuple(picture.path for picture in self.pictures)

    def select(self, indices: Sequence[int]) -> Views:
        """Return some of the views, in the order asked for."""
        rows = torch.as_tensor(indices, dtype=torch.long)
        tensors = (tensor[rows] for tensor in (self.c2w, self.fx, self.fy, self.cx, self.cy))
        return Views(tuple(self.pictures[row] for row in rows.tolist()), *tensors)

    def scaled(self, x: float, y: float) -> Views:
        """Return the views as images of so many times the width and height would have them."""
        return replace(self, fx=self.fx * x, fy=self.fy * y, cx=self.cx * x, cy=self.cy * y)


@dataclass(frozen=True)
class Scene:
    """One scene's train and test views, all of one size in pixels, sorted by file path."""

    name: str
    train: Views
    test: Views
    width: int
    height: int
    notes: tuple[str, ...] = ()
    """What was done to read it that its files do not say; the same words for the same thing in any scene."""

    def resized(self, width: int, height: int) -> Scene:
        """Return the scene as one whose images have another size."""
        x, y = width / self.width, height / self.height
        return replace(self, train=self.train.scaled(x, y), test=self.test.scaled(x, y), width=width, height=height)
