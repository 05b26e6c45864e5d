"""The published design, written down plainly to compare with: short and readable, nothing about it is fast.

One scene per image, 48 + 48 samples everywhere in [-1, 1]^3 with colours in both passes, one ray through the centre of
each latent pixel, one dense Adam over all scenes, an autoencoder of Stable Diffusion's shape, float32 throughout.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.cameras import clip_to_box, grid_size, pixel_centres, rays
from tda_nerfstudio.core.objective import Batch

AXES = ((0, 1), (0, 2), (1, 2))
SAMPLES = 48
"""Of the coarse pass, and as many again of the fine one."""
SCALE, CLIP = 0.02, 1e-4
"""nu(z) = tanh(a z) of Stable Diffusion's raw latents, and how far from +-1 it is inverted."""
SD_SHAPE = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 4}
LOSSES = {
    "latent": {"latent": 1.0, "tv": 1e-4},
    "joint": {"latent": 1.0, "rgb": 1.0, "ae": 0.1, "tv": 1e-4},
    "encode-scene": {"latent": 1.0},
    "decode-scene": {"rgb": 1.0},
    "rgb": {"latent": 1.0},
}
RATE, AE_RATE = 1e-2, 1e-4
"""Adam's learning rates: for planes, weights and MLP; for the autoencoder."""


class PlainScenes(nn.Module):
    """N scenes; without base planes they are plain Tri-Planes. Everything starts as N(0, 1), as published."""

    def __init__(
        self, scenes: int, channels: int, micro: int, macro: int, bases: int, resolution: int, seed: int = 0
    ) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.micro = nn.Parameter(torch.randn(scenes, 3, micro, resolution, resolution))
            self.weights = nn.Parameter(torch.randn(scenes, bases))
            self.base = nn.Parameter(torch.randn(bases, 3, macro, resolution, resolution))
            width = micro + (macro if bases else 0)
            self.mlp = nn.Sequential(nn.Linear(width, 64), nn.Softplus(), nn.Linear(64, 1 + channels))

    def planes(self, scene: Int[Tensor, " image"]) -> Float[Tensor, "image 3 F R R"]:
        """Fuse the planes of each image's scene."""
        if not len(self.base):
            return self.micro[scene]
        macro = torch.einsum("im,mpfhw->ipfhw", self.weights[scene], self.base)
        return torch.cat([self.micro[scene], macro], 2)

    def look_up(
        self, planes: Float[Tensor, "image 3 F R R"], points: Float[Tensor, "image ray sample 3"]
    ) -> tuple[Float[Tensor, "image ray sample"], Float[Tensor, "image ray sample channel"]]:
        """Read density and colour in [0, 1] at points of [-1, 1]^3."""
        xy, xz, yz = (
            functional.grid_sample(planes[:, i], points[..., axes], padding_mode="border", align_corners=False)
            for i, axes in enumerate(AXES)
        )
        raw = self.mlp((xy + xz + yz).permute(0, 2, 3, 1))
        return functional.softplus(raw[..., 0] - 1), torch.sigmoid(raw[..., 1:]) * 1.002 - 0.001


def light_shares(density: Tensor, lengths: Tensor) -> Tensor:
    """Share of a ray's light that each sample sends: alpha times what the samples before it let pass."""
    passes = torch.exp(-density * lengths)
    before = torch.cat([torch.ones_like(passes[..., :1]), passes[..., :-1].cumprod(-1)], -1)
    return before * (1 - passes)


def importance(edges: Tensor, weights: Tensor, u: Tensor) -> Tensor:
    """Find where the weights' distribution over the bins between edges reaches the shares u."""
    cdf = functional.pad((weights + 1e-5).cumsum(-1), (1, 0))
    cdf = cdf / cdf[..., -1:]
    above = torch.searchsorted(cdf, u, right=True).clamp(1, weights.shape[-1])
    c0, c1, e0, e1 = (t.gather(-1, i) for t in (cdf, edges) for i in (above - 1, above))
    return e0 + (e1 - e0) * (u - c0) / (c1 - c0).clamp(min=1e-9)


def march(
    scenes: PlainScenes,
    planes: Float[Tensor, "image 3 F R R"],
    origins: Float[Tensor, "image ray 3"],
    directions: Float[Tensor, "image ray 3"],
    background: Float[Tensor, " channel"],
    samples: int = SAMPLES,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "image ray channel"]:
    """Render rays over a background in (-1, 1), with samples jittered by a generator, as for training."""
    box = torch.tensor([[-1.0] * 3, [1.0] * 3], device=origins.device)
    near, far, _ = clip_to_box(origins.flatten(0, 1), directions.flatten(0, 1), box)
    near, far = near.view(*origins.shape[:2], 1), torch.maximum(near, far).view(*origins.shape[:2], 1)

    def shares() -> Tensor:
        noise = 0.5 if generator is None else torch.rand(*near.shape[:2], samples, generator=generator).to(near)
        return ((torch.arange(samples, device=near.device) + noise) / samples).expand(*near.shape[:2], -1).contiguous()

    def at(t: Tensor) -> tuple[Tensor, Tensor]:
        return scenes.look_up(planes, origins[:, :, None] + t[..., None] * directions[:, :, None])

    edges = near + (far - near) * torch.linspace(0, 1, samples + 1, device=near.device)
    coarse = near + (far - near) * shares()
    density, colour = at(coarse)
    weights = light_shares(density, edges.diff(dim=-1)).detach()
    fine = importance(edges, weights, shares())
    more_density, more_colour = at(fine)
    t, order = torch.cat([coarse, fine], -1).sort(-1)
    density = torch.cat([density, more_density], -1).gather(-1, order)
    colour = torch.cat([colour, more_colour], 2)
    colour = colour.gather(2, order[..., None].expand_as(colour))
    weights = light_shares(density, torch.cat([t[..., 1:], far], -1) - t)
    seen = (weights[..., None] * colour).sum(2) + (1 - weights.sum(-1, keepdim=True)) * (background + 1) / 2
    return 2 * seen - 1


class PlainAutoencoder(nn.Module):
    """diffusers' AutoencoderKL with random weights; 83.7 million parameters in Stable Diffusion's shape."""

    channels = 4

    def __init__(self, shape: dict[str, Any], seed: int = 0) -> None:
        super().__init__()
        try:
            from diffusers import AutoencoderKL  # type: ignore[attr-defined]
        except ImportError as error:
            raise TdaError(f"diffusers is missing ({error}): pip install diffusers for the plain autoencoder") from None
        blocks = len(shape["block_out_channels"])
        types: Any = {"down_block_types": ["DownEncoderBlock2D"] * blocks}
        types["up_block_types"] = ["UpDecoderBlock2D"] * blocks
        self.f = 2 ** (blocks - 1)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.model: Any = AutoencoderKL(**types, **shape)

    def encode(self, images: Float[Tensor, "image 3 height width"]) -> Float[Tensor, "image 4 h w"]:
        """Encode images in [0, 1] to the posterior's mean."""
        return self.model.encode(2 * images - 1).latent_dist.mean

    def decode(self, z: Float[Tensor, "image 4 h w"]) -> Float[Tensor, "image 3 height width"]:
        """Decode to images, nominally in [0, 1]."""
        return (self.model.decode(z).sample + 1) / 2

    def denormalise(self, y: Tensor) -> Tensor:
        """Undo nu."""
        return torch.atanh(y.clamp(-1 + CLIP, 1 - CLIP)) / SCALE


def render(
    scenes: PlainScenes,
    batch: Batch,
    f: int,
    background: Tensor,
    samples: int = SAMPLES,
    generator: torch.Generator | None = None,
) -> tuple[Float[Tensor, "image 3 F R R"], Float[Tensor, "image channel h w"]]:
    """Render every image of a batch in its own fused planes, which come first."""
    planes = scenes.planes(batch.scene[batch.slot])
    h, w = grid_size(batch.height, batch.width, f)
    origins, directions = rays(batch.view, pixel_centres(h, w, planes.device).expand(len(planes), -1, -1), f)
    seen = march(scenes, planes, origins, directions, background, samples, generator)
    return planes, seen.view(len(planes), h, w, -1).permute(0, 3, 1, 2)


def losses(
    phase: str,
    scenes: PlainScenes,
    codec: PlainAutoencoder | None,
    batch: Batch,
    f: int,
    background: Tensor,
    samples: int = SAMPLES,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Compute the weighted losses of a phase; with f = 1 "latents" are the image's own pixels."""
    found, weights, images, encoded = {}, LOSSES[phase], batch.images, batch.latents
    if "ae" in weights:
        assert codec is not None and images is not None
        z = codec.encode(images)
        encoded = torch.tanh(SCALE * z)
        found["ae"] = functional.mse_loss(codec.decode(z), images)
    planes, rendered = render(scenes, batch, f, background, samples, generator)
    if "latent" in weights:
        assert encoded is not None
        found["latent"] = functional.mse_loss(rendered, encoded)
    if "rgb" in weights:
        assert codec is not None and images is not None
        found["rgb"] = functional.mse_loss(codec.decode(codec.denormalise(rendered)), images)
    if "tv" in weights:
        found["tv"] = planes.diff(dim=-1).square().sum() + planes.diff(dim=-2).square().sum()
    return {name: weights[name] * loss for name, loss in found.items()}
