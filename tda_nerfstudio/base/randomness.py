"""Randomness that follows from (seed, step) alone, so that a resumed run draws what an uninterrupted run draws."""

from __future__ import annotations

import hashlib

import torch


def seeded(seed: int | str, step: int, use: str) -> torch.Generator:
    """Return a CPU generator for one step and one use ("views", "rays", "latents", ...).

    For the randomness of a scene, the seed is `scene_seed` and the step is the number of its visits.
    """
    digest = hashlib.sha256(f"{seed}/{step}/{use}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))


def scene_seed(seed: int, scene: str, attempt: int = 0) -> str:
    """Return the seed of one scene in a run; it does not depend on which other scenes the run learns."""
    return f"{seed}/{scene}" + (f"/{attempt}" if attempt else "")
