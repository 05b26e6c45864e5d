"""Broad training images for autoencoders: objects on white and on anything, pictures, and plain colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from tda_nerfstudio.atlas.atlas import read_atlas
from tda_nerfstudio.atlas.images import Picture, read_image
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.procedural.pictures import Rng, flat, palette, picture
from tda_nerfstudio.making.procedural.sprites import SIZE

ON_WHITE, ELSEWHERE, PLAIN = 0.52, 0.2, 0.02
"""Shares of objects on white (as in atlases), of objects elsewhere, and of plain colours; the rest are pictures."""
GIVEN = 0.25
"""Share of images of given atlases, where there are any."""


class BroadImages(Dataset):
    """Endless images: image i depends on (seed, i), the sprites and the given atlases alone.

    Items are [3, 128, 128] sRGB bytes. Atlases give their training views. Raises TdaError when there are none.
    """

    def __init__(
        self, sprites: Sequence[UInt8[np.ndarray, "size size 4"]], seed: int = 0, atlases: Sequence[Path] = ()
    ) -> None:
        self.sprites, self.seed = sprites, seed
        self.given = [file for atlas in atlases for file in _training_views(atlas)]

    def __getitem__(self, index: int) -> UInt8[Tensor, "3 128 128"]:
        rng = np.random.default_rng((self.seed, 0, index))
        image = self._given(rng) if self.given and rng.random() < GIVEN else self._made(rng)
        if rng.random() < 0.5:
            image = image[:, ::-1]
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))

    def _given(self, rng: Rng) -> UInt8[np.ndarray, "size size 3"]:
        picture, width, height = self.given[rng.integers(len(self.given))]
        image = Image.fromarray(read_image(picture, width, height).numpy())
        side = min(width, height)
        left, top = rng.integers(width - side + 1), rng.integers(height - side + 1)
        return np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BOX, (left, top, left + side, top + side)))

    def _made(self, rng: Rng) -> UInt8[np.ndarray, "size size 3"]:
        sort = rng.random()
        if sort < ON_WHITE:
            return self._objects(rng, np.full((SIZE, SIZE, 3), 255, np.uint8))
        if sort < ON_WHITE + ELSEWHERE:
            behind = picture(rng, SIZE) if rng.random() < 0.6 else flat(palette(rng, 1)[0], SIZE)
            return self._objects(rng, behind)
        if sort < ON_WHITE + ELSEWHERE + PLAIN:
            return flat(palette(rng, 1)[0], SIZE)
        return picture(rng, SIZE)

    def _objects(self, rng: Rng, behind: UInt8[np.ndarray, "size size 3"]) -> UInt8[np.ndarray, "size size 3"]:
        """Put one to three recoloured sprites on a background, at their own size or smaller."""
        canvas = Image.fromarray(behind)
        for i in range(int(rng.choice([1, 2, 3], p=[0.85, 0.1, 0.05]))):
            sprite = recoloured(self.sprites[rng.integers(len(self.sprites))], rng)
            side = SIZE if i == 0 and rng.random() < 0.6 else int(SIZE * rng.uniform(0.4, 1))
            if side < SIZE:
                sprite = sprite.resize((side, side), Image.Resampling.BOX)
            slack = max((SIZE - side) // 2, 8)
            left, top = (SIZE - side) // 2 + rng.integers(-slack, slack + 1, 2)
            canvas.paste(sprite, (int(left), int(top)), sprite)
        return np.asarray(canvas)


def recoloured(sprite: UInt8[np.ndarray, "size size 4"], rng: Rng) -> Image.Image:
    """Swap the channels of a sprite and change their contrast, in two of three cases; alpha stays."""
    if rng.random() < 0.33:
        return Image.fromarray(np.ascontiguousarray(sprite), "RGBA")
    image = Image.fromarray(np.ascontiguousarray(sprite[..., [*rng.permutation(3), 3]]), "RGBA")
    ramp, tables = np.linspace(0, 1, 256), []
    gamma, high = 2 ** rng.uniform(-1, 1), rng.uniform(0.7, 1)
    for _ in range(3):
        low, tint = rng.uniform(-0.05, 0.15), 2 ** rng.normal(0, 0.15)
        tables += np.clip((low + (high - low) * ramp ** (gamma * tint)) * 255, 0, 255).astype(int).tolist()
    return image.point([*tables, *range(256)])


def _training_views(root: Path) -> list[tuple[Picture, int, int]]:
    atlas = read_atlas(root)
    if min(atlas.width, atlas.height) < SIZE:
        raise TdaError(
            f"The images of {root} are {atlas.width} x {atlas.height}; pre-training needs {SIZE} x {SIZE} at least."
            " Render them larger, or leave this atlas out."
        )
    return [(picture, atlas.width, atlas.height) for scene in atlas.scenes for picture in scene.train.pictures]
