"""Which autoencoder, as plain data that a YAML file can hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from tda_nerfstudio.autoencoder import embedded
from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.base.errors import TdaError

try:
    from tyro.conf import Suppress
except ImportError:  # a machine that only computes needs no command line
    Suppress = Any

Kind = Literal["light", "kl", "tiny", "identity"]
Start = Literal["embedded", "scratch"]
SUBS = (1, 2, 4)
"""Parts per side that a latent pixel of the light autoencoder may have."""


@dataclass
class AutoencoderConfig:
    """The kind of autoencoder and its sizes."""

    kind: Kind = "light"
    """light: our own; kl, tiny: diffusers' AutoencoderKL and AutoencoderTiny; identity: none, for RGB scenes."""
    f: int = 8
    """Down-scaling from image to latent pixels; light knows 4, 8 and 16."""
    channels: int = 48
    """C: latent channels."""
    width: int = 128
    """light: channels at 1/f of the resolution, four times those at 2/f."""
    blocks: int = 3
    """light: residual blocks at 1/f of the resolution, in encoder and decoder."""
    sub: int | None = None
    """light: parts per side of a latent pixel, each with C / sub^2 channels that rays see apart; 1, 2 or 4. By default
    as many as leave each three channels and 2 x 2 image pixels or more."""
    start: Start = "embedded"
    """light: from the package's pre-trained weights, where there are some of these sizes, or from the seed."""
    source: str | None = None
    """kl, tiny: a local folder or a hub id; only safetensors are read."""
    revision: str | None = None
    """kl, tiny: the commit of a hub id, so that it stays what it is."""
    architecture: Suppress[dict[str, Any] | None] = None
    """kl, tiny: constructor arguments, filled in from the source, so that checkpoints rebuild without it."""

    def resolve(self) -> AutoencoderConfig:
        """Return a copy that names f, C and architecture, read from the source where there is one."""
        if self.kind in ("kl", "tiny"):
            from tda_nerfstudio.autoencoder import pretrained

            return pretrained.resolve(self)
        if self.kind == "identity":
            return replace(self, f=1, channels=3)
        parts = [s for s in SUBS if 2 * s <= self.f and self.channels % s**2 == 0 and self.channels >= 3 * s**2]
        sized = replace(self, sub=self.sub or max(parts, default=1))
        return replace(sized, start="scratch") if self.start == "embedded" and embedded.find(sized) is None else sized

    @property
    def knows(self) -> bool:
        """Whether a resolved autoencoder starts from pre-trained weights."""
        return self.kind in ("kl", "tiny") or (self.kind == "light" and self.start == "embedded")

    def build(self, seed: int = 0) -> Autoencoder:
        """Build the autoencoder; what has no pre-trained weights starts from the seed. Raises TdaError."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            if self.kind == "identity":
                from tda_nerfstudio.autoencoder.identity import IdentityAutoencoder

                return IdentityAutoencoder()
            if self.kind == "light":
                from tda_nerfstudio.autoencoder.light import LightAutoencoder

                own = self.resolve()
                if own.f not in (4, 8, 16) or own.channels < 1:
                    raise TdaError(
                        f"The light autoencoder knows f = 4, 8, 16 and C >= 1, not f = {own.f}, C = {own.channels}."
                    )
                if own.sub not in SUBS or own.f % own.sub or own.channels % own.sub**2:
                    raise TdaError(
                        f"A latent pixel of C = {own.channels} channels cannot have {own.sub} x {own.sub} parts: give"
                        f" sub 1, 2 or 4, one that divides f = {own.f} and whose square divides C."
                    )
                model = LightAutoencoder(own.f, own.channels, own.width, own.blocks, own.sub)
                weights = embedded.find(own) if own.start == "embedded" else None
                if weights is not None:  # else a checkpoint follows, made where there were some
                    embedded.load(model, weights)
                return model
            from tda_nerfstudio.autoencoder import pretrained

            return pretrained.build(self)
