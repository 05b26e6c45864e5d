"""From a scene to images: how scenes are shown, wherever they come from."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tda_nerfstudio.core.cameras import View, grid_size, pixel_centres
from tda_nerfstudio.core.objective import Codec
from tda_nerfstudio.core.rendering import Rendering, SamplingConfig, render_views
from tda_nerfstudio.core.scenes import LatentScenes


@torch.no_grad()
def march(
    scenes: LatentScenes,
    planes: Float[Tensor, "1 3 R R F"],
    occupied: Bool[Tensor, "1 G G G"],
    codec: Codec,
    view: View,
    height: int,
    width: int,
    sampling: SamplingConfig,
) -> Rendering:
    """Render the h * w latent pixels of each view of one scene that cover an image size, without jitter."""
    h, w = grid_size(height, width, codec.f)
    views, device = len(view.fx), planes.device
    centres = pixel_centres(h, w, device).expand(views, -1, -1)
    slot = torch.zeros(views, dtype=torch.long, device=device)
    return render_views(scenes, planes, slot, view, centres, codec.f, codec.background, sampling, occupied=occupied)


@torch.no_grad()
def decode(codec: Codec, rendering: Rendering, height: int, width: int) -> Float[Tensor, "view 3 height width"]:
    """Decode what `march` rendered to images in [0, 1]."""
    h, w = grid_size(height, width, codec.f)
    latents = rendering.latent.view(-1, h, w, codec.channels).permute(0, 3, 1, 2)
    return codec.decode(codec.denormalise(latents))[..., :height, :width].clamp(0, 1)
