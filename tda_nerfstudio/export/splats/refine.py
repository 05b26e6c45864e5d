"""Splats that are fitted to views of their scene."""

from __future__ import annotations

from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.base.randomness import seeded
from tda_nerfstudio.core.view import View
from tda_nerfstudio.export.splats.gaussians import Splats
from tda_nerfstudio.export.splats.rasteriser import BLUR
from tda_nerfstudio.export.survey import Survey

RATES = {"means": 0.15, "log_scales": 0.03, "quats": 0.02, "logits": 0.08, "harmonics": 0.025}
"""Learning rates at the start; that of means is in mean distances between neighbours. They fall to a tenth."""
SHAPE_WEIGHT = 0.1
"""Weight of errors in opacity beside those in colour."""
ABSOLUTE_WEIGHT = 0.02
"""Weight of the absolute error beside the squared one: small errors count, too."""
VIEW_WEIGHT = 0.01
"""Weight of what a colour changes with the direction: it does so where views disagree, and nowhere else."""
BLURS = ((0.1, False), (BLUR, True), (BLUR, True))
"""Blur of projected splats in square pixels and whether they dim with it, in turn.

Viewers blur by BLUR whatever the window's size. Splats that are fitted with that alone at the size of training images
are too thin in larger windows, where the blur is nearly nothing: surfaces get holes.
"""


class Draw(Protocol):
    """Renders one camera: colours over black, and opacity."""

    def __call__(
        self, splats: Splats, view: View, height: int, width: int, *, blur: float = ..., antialiased: bool = ...
    ) -> tuple[Float[Tensor, "3 height width"], Float[Tensor, "1 height width"]]:
        """Render."""
        ...


def refine(splats: Splats, views: Survey, draw: Draw, steps: int, spacing: float, seed: int = 0) -> Splats:
    """Fit splats to views by Adam: a view a step, all equally often; the same numbers for the same seed on a CPU.

    `spacing` is the mean distance between neighbours, in world units.
    """
    free = {name: tensor.clone().requires_grad_() for name, tensor in splats.tensors().items()}
    rates = RATES | {"means": RATES["means"] * spacing}
    optimizer = torch.optim.Adam([{"params": [free[name]], "lr": rate} for name, rate in rates.items()], eps=1e-15)
    height, width = views.size
    rows: list[int] = []
    for step in range(steps):
        rows = rows or torch.randperm(len(views), generator=seeded(seed, step, "views")).tolist()
        row, (blur, antialiased) = rows.pop(), BLURS[step % len(BLURS)]
        for group, rate in zip(optimizer.param_groups, rates.values(), strict=True):
            group["lr"] = rate * 10 ** (-step / steps)
        image, opacity = draw(
            Splats(**free), views.view[row : row + 1], height, width, blur=blur, antialiased=antialiased
        )
        error = image + 1 - opacity - views.rgb[row]
        loss = error.square().mean() + ABSOLUTE_WEIGHT * error.abs().mean()
        loss = loss + SHAPE_WEIGHT * (opacity - views.opacity[row]).square().mean()
        if splats.degree:
            loss = loss + VIEW_WEIGHT * free["harmonics"][:, 1:].square().mean()
        if not loss.requires_grad:
            continue  # the camera sees none of them
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return Splats(**{name: tensor.detach() for name, tensor in free.items()})


@torch.no_grad()
def images(splats: Splats, view: View, draw: Draw, height: int, width: int, antialiased: bool) -> Tensor:
    """Render cameras on white, [view, 3, height, width] in [0, 1]."""
    drawn = [draw(splats, view[i : i + 1], height, width, antialiased=antialiased) for i in range(len(view))]
    return torch.stack([(colour + 1 - opacity).clamp(0, 1) for colour, opacity in drawn])
