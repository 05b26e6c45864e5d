"""All randomness follows from (seed, step): a run that was cut and resumed draws what an uncut one draws."""

from __future__ import annotations

import hashlib

import torch


def seeded(seed: int, step: int, use: str) -> torch.Generator:
    """Make the CPU generator of one step for one use ("views", "rays", "latents", ...)."""
    digest = hashlib.sha256(f"{seed}/{step}/{use}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))
