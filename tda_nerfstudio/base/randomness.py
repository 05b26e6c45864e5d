"""All randomness follows from (seed, step): a run that was cut and resumed draws what an uncut one draws."""

from __future__ import annotations

import hashlib

import torch


def seeded(seed: int | str, step: int, use: str) -> torch.Generator:
    """Make the CPU generator of one step for one use ("views", "rays", "latents", ...).

    A scene's own randomness comes from `scene_seed` and counts its visits as steps.
    """
    digest = hashlib.sha256(f"{seed}/{step}/{use}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))


def scene_seed(seed: int, scene: str, attempt: int = 0) -> str:
    """Name a scene's own randomness in a run: the same whatever else is learnt beside it, before it or elsewhere."""
    return f"{seed}/{scene}" + (f"/{attempt}" if attempt else "")
