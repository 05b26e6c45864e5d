"""Splats to images by gsplat, where there is CUDA; `rasteriser` is its twin everywhere else."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.core.view import View
from tda_nerfstudio.export.splats.gaussians import Splats
from tda_nerfstudio.export.splats.rasteriser import BLUR, NEAREST


def has_gsplat() -> bool:
    """Whether gsplat is compiled: it does that when it is first used, and needs CUDA's compiler."""
    from gsplat.cuda import _backend

    return getattr(_backend, "_C", None) is not None


def rasterise_on_cuda(
    splats: Splats, view: View, height: int, width: int, blur: float = BLUR, antialiased: bool = False
) -> tuple[Float[Tensor, "3 height width"], Float[Tensor, "1 height width"]]:
    """Render one camera as `rasteriser.rasterise` does."""
    from gsplat import rasterization

    c2w = torch.eye(4, device=splats.means.device)
    c2w[:3] = view.c2w[0] * view.c2w.new_tensor([1.0, -1.0, -1.0, 1.0])
    intrinsics = torch.eye(3, device=splats.means.device)
    intrinsics[0, 0], intrinsics[1, 1] = view.fx[0], view.fy[0]
    intrinsics[0, 2], intrinsics[1, 2] = view.cx[0], view.cy[0]
    colour, opacity, _ = rasterization(
        splats.means,
        torch.nn.functional.normalize(splats.quats, dim=-1),
        splats.log_scales.exp(),
        torch.sigmoid(splats.logits),
        splats.harmonics,
        torch.linalg.inv(c2w)[None],
        intrinsics[None],
        width,
        height,
        near_plane=NEAREST,
        eps2d=blur,
        sh_degree=splats.degree,
        packed=False,
        rasterize_mode="antialiased" if antialiased else "classic",
    )
    return colour[0].permute(2, 0, 1), opacity[0].permute(2, 0, 1)
