"""Autoencoders made from their configurations."""

from __future__ import annotations

from dataclasses import replace

import torch

from tda_nerfstudio.autoencoder import embedded, pretrained
from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.autoencoder.config import FULL_RESOLUTION, AutoencoderConfig
from tda_nerfstudio.autoencoder.fine import FineAutoencoder
from tda_nerfstudio.autoencoder.identity import IdentityAutoencoder
from tda_nerfstudio.autoencoder.light import LightAutoencoder
from tda_nerfstudio.base.errors import TdaError

SUBS = (1, 2, 4)
"""Parts per side that a latent pixel of the light autoencoder may have."""


def resolve(config: AutoencoderConfig) -> AutoencoderConfig:
    """Return a copy that names f, C, sub and architecture, read from the source where there is one.

    Raises TdaError for a source that cannot be used.
    """
    if config.kind in ("kl", "tiny"):
        return pretrained.resolve(config)
    if config.kind in FULL_RESOLUTION:
        return replace(config, f=2, channels=12, width=32, blocks=3, sub=2, start="scratch")
    parts = [s for s in SUBS if 2 * s <= config.f and config.channels % s**2 == 0 and config.channels >= 3 * s**2]
    sized = replace(config, sub=config.sub or max(parts, default=1))
    return replace(sized, start="scratch") if config.start == "embedded" and embedded.find(sized) is None else sized


def build(config: AutoencoderConfig, seed: int = 0) -> Autoencoder:
    """Build the autoencoder; weights that are not pre-trained follow from the seed. Raises TdaError."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if config.kind == "identity":
            return IdentityAutoencoder()
        if config.kind in FULL_RESOLUTION:
            return FineAutoencoder(encodes=config.kind == "fine")
        return _build_light(resolve(config)) if config.kind == "light" else pretrained.build(config)


def _build_light(config: AutoencoderConfig) -> LightAutoencoder:
    if config.f not in (4, 8, 16) or config.channels < 1:
        raise TdaError(
            f"The light autoencoder knows f = 4, 8, 16 and C >= 1, not f = {config.f}, C = {config.channels}."
        )
    if config.sub not in SUBS or config.f % config.sub or config.channels % config.sub**2:
        raise TdaError(
            f"A latent pixel of C = {config.channels} channels cannot have {config.sub} x {config.sub} parts: give"
            f" sub 1, 2 or 4, one that divides f = {config.f} and whose square divides C."
        )
    model = LightAutoencoder(config.f, config.channels, config.width, config.blocks, config.sub)
    if config.start == "colours":
        model.encode_colours()
    weights = embedded.find(config) if config.start == "embedded" else None
    if weights is not None:  # else a checkpoint follows, made where there were some
        embedded.load(model, weights)
    return model
