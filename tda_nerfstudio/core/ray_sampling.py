"""Samples along rays: first in even intervals between near and far, then in intervals where the density is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass
class SamplingConfig:
    """How many rays a latent pixel has, and how many samples a ray."""

    coarse: int = 12
    """Evenly spaced samples along a ray, for density alone."""
    fine: int = 12
    """Samples where the coarse ones found density, for density and latent colour."""
    side: int | None = None
    """Rays per side of a latent pixel when images are rendered; 2 means 2 x 2 rays. By default one for each of its
    parts, and at least 2 x 2; if there are fewer rays than parts, parts share them."""
    train_side: int | None = None
    """The same in training. With a single ray, edges are noise, and an encoder that trains learns to blur them."""
    coarse_side: int = 2
    """Neighbouring rays of a latent pixel, as 2 x 2, that share one coarse pass through their middle, where they are no
    further apart than a cell of the grid that says what is empty; 1 shares none."""
    jitter: bool = True
    """Whether rays pass a random place in their part of the pixel at every step of training, and not its centre."""
    explore: float = 0.02
    """Share of latent pixels whose rays in training also sample empty cells, where something may have to grow."""
    rays_per_chunk: int = 32768
    """Rays to render at once when images are rendered, which bounds memory."""

    def rays(self, sub: int, training: bool = False) -> int:
        """Count the rays per side of a latent pixel that has sub x sub parts."""
        return (self.train_side if training else self.side) or max(2, sub)

    def together(self, side: int) -> int:
        """Count the rays per side that share a coarse pass where a latent pixel has `side` x `side` rays."""
        return self.coarse_side if side % self.coarse_side == 0 else 1


def even_edges(near: Float[Tensor, " ray"], far: Float[Tensor, " ray"], count: int) -> Float[Tensor, "ray edge"]:
    """Return the count + 1 edges of `count` equal intervals of each ray, as distances from near to far."""
    share = torch.linspace(0, 1, count + 1, device=near.device, dtype=near.dtype)
    return near[:, None] + (far - near)[:, None] * share


def importance_edges(
    edges: Float[Tensor, "ray edge"], weights: Float[Tensor, "ray sample"], count: int, floor: float = 0.01
) -> Float[Tensor, "ray edge2"]:
    """Return the ascending edges of `count` intervals of equal weight, from each ray's first edge to its last.

    Weights are spread to neighbouring intervals, since a surface may be anywhere in its interval. `floor` is added to
    them, so that empty space keeps a few samples. NaN counts as 0, so that samples of a scene that diverged stay
    inside the box.
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
    edges: Float[Tensor, "*ray edge"], jitter: Float[Tensor, "*ray sample"] | None = None
) -> Float[Tensor, "*ray sample"]:
    """Return the distance of one sample in each interval: in its middle, or at the share `jitter` in [0, 1) of it."""
    return edges[..., :-1] + edges.diff(dim=-1) * (0.5 if jitter is None else jitter)
