"""Where to look along a ray: intervals between near and far, first even, then where the density is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass
class SamplingConfig:
    """How densely rays are sampled."""

    coarse: int = 12
    """Even samples along a ray, for its density alone."""
    fine: int = 12
    """Samples where the coarse ones found something, for density and latent colour."""
    side: int | None = None
    """Rays per side of a latent pixel when images are rendered: a latent pixel is an area, 2 means 2 x 2 rays. By
    default one for each part of it, and 2 x 2 at least; with fewer rays, parts share them."""
    train_side: int | None = None
    """The same in training, where each ray is jittered inside its part of the pixel. With a single one, edges are
    noise, and an encoder that trains learns to blur them away."""
    jitter: bool = True
    """Whether training rays are displaced inside their part of the pixel at every step; else they pass its centre."""
    explore: float = 0.06
    """Share of the latent pixels that in training look into empty space too, where something may have to grow."""
    rays_per_chunk: int = 32768
    """Rays rendered at once when images are rendered, to bound memory."""

    def rays(self, sub: int, training: bool = False) -> int:
        """Count the rays per side of a latent pixel that has sub x sub parts."""
        return (self.train_side if training else self.side) or max(2, sub)


def even_edges(near: Float[Tensor, " ray"], far: Float[Tensor, " ray"], count: int) -> Float[Tensor, "ray edge"]:
    """Cut each ray into `count` equal intervals: count + 1 distances from near to far."""
    share = torch.linspace(0, 1, count + 1, device=near.device, dtype=near.dtype)
    return near[:, None] + (far - near)[:, None] * share


def importance_edges(
    edges: Float[Tensor, "ray edge"], weights: Float[Tensor, "ray sample"], count: int, floor: float = 0.01
) -> Float[Tensor, "ray edge2"]:
    """Cut each ray into `count` intervals of equal weight, ascending from the first edge to the last.

    The weights are widened by one neighbour, since a surface may lie anywhere in its interval, and lifted by `floor`,
    so that empty space keeps a few samples. Nothing is sorted: the inverse of a growing function grows. Weights that
    are NaN, of a scene that diverged, count as none: its samples stay where planes can be looked up.
    """
    padded = torch.nn.functional.pad(weights.nan_to_num(0.0), (1, 1))
    wide = torch.maximum(padded[:, :-1], padded[:, 1:])
    pdf = (wide[:, :-1] + wide[:, 1:]) / 2 + floor
    cdf = torch.nn.functional.pad((pdf / pdf.sum(-1, keepdim=True)).cumsum(-1), (1, 0))
    cdf[:, -1] = 1.0
    u = torch.linspace(0, 1, count + 1, device=edges.device, dtype=edges.dtype).expand(len(edges), -1).contiguous()
    above = torch.searchsorted(cdf, u, right=True).clamp(1, edges.shape[1] - 1)
    c0, c1 = cdf.gather(1, above - 1), cdf.gather(1, above)
    e0, e1 = edges.gather(1, above - 1), edges.gather(1, above)
    return e0 + (e1 - e0) * ((u - c0) / (c1 - c0).clamp(min=1e-9)).clamp(0, 1)


def place(
    edges: Float[Tensor, "ray edge"], jitter: Float[Tensor, "ray sample"] | None = None
) -> Float[Tensor, "ray sample"]:
    """Put one sample in every interval: in its middle, or at `jitter` in [0, 1) of it."""
    width = edges[:, 1:] - edges[:, :-1]
    return edges[:, :-1] + width * (0.5 if jitter is None else jitter)
