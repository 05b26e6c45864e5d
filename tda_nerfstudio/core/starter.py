"""A network that gives a new scene its first planes, from what a few of its views show on its visual hull.

Not in 2403.11678. One pass takes the place of the first visits of training (as in CodecNeRF, arXiv 2404.04913).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad, pixel_shuffle, pixel_unshuffle

from tda_nerfstudio.core.layers import ResidualBlock, faint
from tda_nerfstudio.core.surface import CLUES, LAYERS, Surface, columns
from tda_nerfstudio.core.triplane import AXES


class Starter(nn.Module):
    """Two residual blocks of `width` channels on each plane, and between them one of 2 x width at half the resolution.

    The planes share all layers but the first and the last. Untrained, it gives planes of 0 and weights of the mean.
    """

    def __init__(self, own: int, shared: int, bases: int, width: int) -> None:
        """`own` and `shared` channels have a scene's micro planes and the base planes, of which there are `bases`."""
        super().__init__()
        self.into = nn.ModuleList(nn.Conv2d(CLUES * LAYERS + shared, width, 1) for _ in AXES)
        self.before = ResidualBlock(width)
        self.inner = nn.Sequential(
            nn.Conv2d(4 * width, 2 * width, 1), ResidualBlock(2 * width), nn.Conv2d(2 * width, 4 * width, 1)
        )
        self.after = ResidualBlock(width)
        self.out = nn.ModuleList(faint(nn.Conv2d(width, own, 1), 0) for _ in AXES)
        self.weights = nn.Linear(4 * width, bases)
        if bases:
            nn.init.zeros_(self.weights.weight)
            nn.init.zeros_(self.weights.bias)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self, surfaces: Sequence[Surface], macro: Float[Tensor, "3 R R shared"]
    ) -> tuple[Float[Tensor, "scene 3 R R own"], Float[Tensor, "scene base"]]:
        """Give micro planes, and what is added to the mean weights, whose fused base planes are `macro`."""
        side = macro.shape[1]
        around = pad(macro.permute(0, 3, 1, 2), (0, side % 2, 0, side % 2))  # halved inside
        known, scenes = torch.stack([columns(each, around.shape[-1]) for each in surfaces]), len(surfaces)
        x = torch.cat(
            [
                layer(torch.cat([known[:, p], around[p].expand(scenes, -1, -1, -1)], 1))
                for p, layer in enumerate(self.into)
            ]
        ).contiguous(memory_format=torch.channels_last)
        x = self.before(x)
        inner = self.inner(pixel_unshuffle(x, 2))
        x = self.after(x + pixel_shuffle(inner, 2))
        planes = torch.stack([layer(part) for layer, part in zip(self.out, x.chunk(len(AXES)), strict=True)], 1)
        weights = self.weights(inner.mean((2, 3)).unflatten(0, (len(AXES), scenes)).mean(0))
        return planes.permute(0, 1, 3, 4, 2)[:, :, :side, :side], weights
