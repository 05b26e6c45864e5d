"""The losses of one training step, from encoding over rendering to decoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tda_nerfstudio.base.randomness import seeded
from tda_nerfstudio.core.cameras import View, grid_size, parts_shape, pixel_centres
from tda_nerfstudio.core.losses import image_loss, latent_loss, tv_loss
from tda_nerfstudio.core.phase import Phase
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.rendering import render_views
from tda_nerfstudio.core.scenes import LatentScenes
from tda_nerfstudio.core.surface import Surface
from tda_nerfstudio.core.triplane import fuse


class Codec(Protocol):
    """What the objective needs of an autoencoder. z are raw latents, y = nu(z) normalised ones."""

    f: int
    channels: int
    sub: int
    background: Tensor

    def encode(self, images: Tensor, noise: Tensor | None = None) -> Tensor: ...
    def decode(self, latents: Tensor) -> Tensor: ...
    def normalise(self, z: Tensor) -> Tensor: ...
    def denormalise(self, y: Tensor) -> Tensor: ...
    def normalise_moving(self, z: Tensor) -> Tensor: ...


class Parts(NamedTuple):
    """Some parts of the latent pixels of each view, and what the encoder says of them."""

    index: Int[Tensor, "view part"]
    """Row-major among the parts of all latent pixels of the view."""
    latents: Float[Tensor, "view channel part"]
    """nu(E(x)), with the channels of one part."""
    variance: Float[Tensor, "*view channel 1"]
    """Of each channel in the whole view, as `latent_variance` gives it, or one for all."""


class Batch(NamedTuple):
    """The views of one step: V views of each of K scenes."""

    scene: Int[Tensor, " scene"]
    """Rows of the K scenes in the table, each once."""
    slot: Int[Tensor, " view"]
    """Position of each view's scene in `scene`."""
    view: View
    height: int
    width: int
    images: Float[Tensor, "view 3 height width"] | None = None
    """In [0, 1]."""
    latents: Float[Tensor, "view channel h w"] | None = None
    """Cached nu(E(x)), for phases in which the encoder does not train."""
    parts: Parts | None = None
    """The parts of latent pixels to render; None renders all."""
    surfaces: tuple[Surface, ...] = ()
    """What the starter sees of each scene, in phases in which it trains."""
    hulls: Bool[Tensor, "scene G G G"] | None = None
    """Cells that rays sample then."""
    seeds: tuple[str, ...] = ()
    """Seed of each scene's randomness; if empty, it follows from the scene's position in the batch."""


def latent_variance(latents: Float[Tensor, "view channel h w"], together: bool) -> Float[Tensor, "_ channel 1 1"]:
    """Return the variance of each channel of normalised latents, at least 1e-4, since L_latent divides by it.

    `together`, while the encoder trains, takes one variance over all views. Otherwise each view has its own, so that
    scenes do not depend on each other. It is at least a tenth of the view's mean over channels, since a channel may be
    nearly constant in one view.
    """
    pixels = latents.shape[2:].numel()  # the smallest images have one pixel: its variance is 0, not 0 / 0
    if together:
        return latents.var((0, 2, 3), keepdim=True, correction=min(len(latents) * pixels - 1, 1)).clamp(min=1e-4)
    variance = latents.var((2, 3), keepdim=True, correction=min(pixels - 1, 1))
    return torch.maximum(variance, 0.1 * variance.mean(1, keepdim=True)).clamp(min=1e-4)


def perturbed(z: Float[Tensor, "image C h w"], share: float, seed: int, step: int) -> Float[Tensor, "image C h w"]:
    """Add noise, a share of each channel's standard deviation, as decoders must tolerate errors of renderings."""
    spread = share * z.detach().std((0, 2, 3), keepdim=True, correction=min(z[:, 0].numel() - 1, 1))
    return z + torch.randn(z.shape, generator=seeded(seed, step, "latents")).to(z) * spread


def objective(
    phase: Phase, scenes: LatentScenes, codec: Codec, batch: Batch, sampling: SamplingConfig, seed: int, step: int
) -> dict[str, Float[Tensor, ""]]:
    """Compute the weighted losses of one step; keys are the names of the phase's losses.

    If the encoder trains, the gradient of L_latent reaches it through the latents and through their variance, which
    rewards smooth latents and not small ones. The gradient of L_RGB reaches it as if its own latents plus the error of
    the rendering were decoded, so that the encoder emphasises what renderings lose, such as colours. Without that,
    latents become silhouettes.
    """
    losses: dict[str, Tensor] = {}
    encoded = batch.latents
    if phase.encodes:
        assert batch.images is not None
        z = codec.encode(batch.images)
        encoded = codec.normalise_moving(z) if phase.renders else None
        if "ae" in phase.losses:
            decoded = codec.decode(perturbed(z, phase.latent_noise, seed, step))[..., : batch.height, : batch.width]
            losses["ae"] = image_loss(decoded, batch.images)
    if phase.renders:
        planes = first_planes(scenes, batch.surfaces) if phase.starts else scenes.planes(batch.scene)
        render = render_batch if batch.parts is None else render_parts
        rendered = render(scenes, planes, codec, batch, sampling, seed, step)
        if "latent" in phase.losses and batch.parts is not None:
            losses["latent"] = latent_loss(rendered, batch.parts.latents, batch.parts.variance)
        elif "latent" in phase.losses:
            assert encoded is not None
            losses["latent"] = latent_loss(rendered, encoded, latent_variance(encoded, phase.encodes))
        if "rgb" in phase.losses:
            assert batch.images is not None
            shown = rendered
            if encoded is not None and encoded.requires_grad:
                shown = rendered + (encoded - encoded.detach())
            decoded = codec.decode(codec.denormalise(shown))[..., : batch.height, : batch.width]
            losses["rgb"] = image_loss(decoded, batch.images)
        if "tv" in phase.losses:
            losses["tv"] = tv_loss(planes)
    return {name: phase.losses[name] * loss for name, loss in losses.items()}


def render_batch(
    scenes: LatentScenes, planes: Tensor, codec: Codec, batch: Batch, sampling: SamplingConfig, seed: int, step: int
) -> Float[Tensor, "view channel h w"]:
    """Render the batch's views whole, as normalised latents."""
    h, w = grid_size(batch.height, batch.width, codec.f)
    views = len(batch.slot)
    centres = pixel_centres(h, w, planes.device).expand(views, -1, -1)
    how, background, occupied = generators_of(batch, seed, step), codec.background, occupied_of(scenes, batch)
    given = (scenes, planes, batch.slot, batch.view, centres, codec.f)
    out = render_views(*given, background, sampling, how, occupied)
    return out.latent.view(views, h, w, -1).permute(0, 3, 1, 2)


def render_parts(
    scenes: LatentScenes, planes: Tensor, codec: Codec, batch: Batch, sampling: SamplingConfig, seed: int, step: int
) -> Float[Tensor, "view channel part"]:
    """Render the parts that the batch names, each as if it were a latent pixel of its own."""
    assert batch.parts is not None
    index, sub, channels = batch.parts.index, codec.sub, scenes.channels
    rows, columns = parts_shape(batch.height, batch.width, codec.f, sub)
    centres = pixel_centres(rows, columns, planes.device)[index]
    within = (index // columns) % sub * sub + index % columns % sub
    background = codec.background.view(channels, sub**2).T[within]
    how, occupied = generators_of(batch, seed, step), occupied_of(scenes, batch)
    side = max(sampling.rays(sub, training=True) // sub, 1)
    given = (scenes, planes, batch.slot, batch.view, centres, codec.f / sub)
    out = render_views(*given, background, sampling, how, occupied, side)
    return out.latent.view(*index.shape, channels).transpose(1, 2)


def first_planes(scenes: LatentScenes, surfaces: Sequence[Surface]) -> Float[Tensor, "scene 3 R R F"]:
    """Fuse the planes that the starter gives to scenes of which surfaces are known."""
    learnt = scenes.weights.detach()
    micro, weights = scenes.first_planes(learnt[learnt.isfinite().all(1)].mean(0), surfaces)
    return fuse(micro, weights, scenes.base)


def occupied_of(scenes: LatentScenes, batch: Batch) -> Bool[Tensor, "scene G G G"]:
    """Return the cells that rays sample in each scene of a batch."""
    return scenes.occupied[batch.scene] if batch.hulls is None else batch.hulls


def generators_of(batch: Batch, seed: int, step: int) -> list[torch.Generator]:
    """Make a generator for the rays of each scene of a batch."""
    seeds = batch.seeds or tuple(f"{seed}/{step}/{i}" for i in range(len(batch.scene)))
    return [seeded(own, 0, "rays") for own in seeds]
