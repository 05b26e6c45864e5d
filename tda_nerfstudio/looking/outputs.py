"""Outputs of a scene through one camera, each in colours that a person can read."""

from __future__ import annotations

from collections.abc import Collection

import torch
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.core.palette import Palette
from tda_nerfstudio.core.showing import OneScene, show
from tda_nerfstudio.core.view import View
from tda_nerfstudio.looking.colouring import depth_colours
from tda_nerfstudio.looking.source import Source


@torch.no_grad()
def coloured_outputs(
    source: Source,
    scene: OneScene,
    view: View,
    names: Collection[str],
    palette: Palette | None = None,
    quick: bool = False,
) -> dict[str, Float[Tensor, "channel height width"]]:
    """Show a scene of a source through one camera with a size, as `core.showing.show` does, in [0, 1].

    Depths are coloured from the near to the far end of a ball around the box, whatever is seen of it.
    """
    assert view.width is not None and view.height is not None
    parts, focal = source.parts, source.camera.focal
    given = (view.to(scene[1].device), view.height, view.width, parts.config.sampling, focal)
    shown = {name: image[0] for name, image in show(*scene, *given, names, palette, quick).items()}
    if "depth" in shown:
        box, eye = parts.scenes.box.cpu(), view.c2w[0, :, 3].cpu()
        middle, reach = float((eye - box.mean(0)).norm()), float((box[1] - box[0]).norm()) / 2
        shown["depth"] = depth_colours(shown["depth"], max(middle - reach, 0), middle + reach)
    return shown
