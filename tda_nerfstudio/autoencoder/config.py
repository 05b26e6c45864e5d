"""The configuration of an autoencoder: plain data that YAML and JSON can hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

try:
    from tyro.conf import Suppress as not_an_option
except ImportError:  # stores open without the packages of the command line
    not_an_option = None

Kind = Literal["colours", "fine", "light", "kl", "tiny", "identity"]
InitialWeights = Literal["embedded", "scratch", "colours"]
FULL_RESOLUTION = ("colours", "fine", "identity")
"""Kinds whose sizes are fixed: each latent pixel has 2 x 2 parts, one for every pixel of the image."""


@dataclass
class AutoencoderConfig:
    """The kind of autoencoder and its sizes."""

    kind: Kind = "light"
    """colours, fine: our own at full resolution, whose latents are pixels, or start as such; light: our own at 1/f; kl,
    tiny: diffusers' AutoencoderKL and AutoencoderTiny; identity: none, for RGB scenes."""
    f: int = 8
    """Down-scaling from image to latent pixels; light knows 4, 8 and 16; colours, fine and identity have 2."""
    channels: int = 48
    """C: latent channels."""
    width: int = 128
    """light: channels at 1/f of the resolution, four times those at 2/f."""
    blocks: int = 3
    """light: residual blocks at 1/f of the resolution, in encoder and decoder."""
    sub: int | None = None
    """light: parts per side of a latent pixel, each with its own C / sub^2 channels and its own rays; 1, 2 or 4. By
    default the most that leave each part at least three channels and 2 x 2 image pixels."""
    start: InitialWeights = "embedded"
    """light: from the package's pre-trained weights, if there are some of these sizes, or from the seed; colours is as
    scratch, with an encoder that gives each part the mean colours of its pixels."""
    source: str | None = None
    """kl, tiny: a local folder or a hub id; only safetensors are read."""
    revision: str | None = None
    """kl, tiny: the commit of a hub id, so that its content cannot change."""
    architecture: Annotated[dict[str, Any] | None, not_an_option] = None
    """kl, tiny: constructor arguments, filled in from the source, so that checkpoints load without it."""

    @property
    def knows(self) -> bool:
        """Whether a resolved autoencoder starts from pre-trained weights."""
        return self.kind in ("kl", "tiny") or (self.kind == "light" and self.start == "embedded")
