"""A phase of training as plain data: which losses act, which parameter groups move, how fast and for how long."""

from __future__ import annotations

from dataclasses import dataclass

GROUPS = ("micro", "weights", "base", "mlp", "starter", "encoder", "decoder")
"""Parameter groups: two that belong to scenes alone, three that all scenes share, and the autoencoder's two halves."""


@dataclass(frozen=True)
class Phase:
    """One phase of training."""

    name: str
    visits: float
    """Length: how often each scene is visited, a view at a time."""
    losses: dict[str, float]
    """Weight by loss."""
    rates: dict[str, float]
    """Initial learning rate by parameter group; other groups do not move."""
    final_rate: float = 0.05
    """Learning rates fall exponentially to this share of the initial ones (the paper's 0.94157 an epoch, 50 epochs)."""
    latent_noise: float = 0.0
    """Noise on latents before decoding, as a share of their standard deviation."""

    @property
    def encodes(self) -> bool:
        """Whether images are encoded at every step; otherwise latents are cached."""
        return "encoder" in self.rates or "ae" in self.losses

    @property
    def starts(self) -> bool:
        """Whether scenes are rendered as the starter places them, and not as they are."""
        return "starter" in self.rates

    @property
    def renders(self) -> bool:
        """Whether scenes are rendered at all."""
        return "latent" in self.losses or "rgb" in self.losses

    @property
    def needs_images(self) -> bool:
        """Whether steps read images, and so see whole views; Encode-Scene reads cached latents alone, also in parts."""
        return self.encodes or "rgb" in self.losses
