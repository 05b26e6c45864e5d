"""How well an export shows its scene, on views that it was not made from."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.core.metrics import psnr
from tda_nerfstudio.export.subject import HeldOut

DECODED, TRUE, OWN = "to decoded [dB]", "to truth [dB]", "scene to truth [dB]"
"""Headings of PSNR: of an export against the scene's decoded views and against images, and of the scene itself."""


def scores(images: Float[Tensor, "view 3 height width"], held_out: HeldOut, where: str = "") -> dict[str, float]:
    """Compute PSNR, the mean over images; that to truth only where images are at hand. `where` begins headings."""
    found = {f"{where}{DECODED}": float(psnr(images, held_out.views.rgb).mean())}
    if held_out.truth is not None:
        found |= {f"{where}{TRUE}": float(psnr(images, held_out.truth).mean())}
        found |= {OWN: float(psnr(held_out.views.rgb, held_out.truth).mean())}
    return found
