"""Scenes between scenes."""

from __future__ import annotations

from dataclasses import replace

import torch

from tda_nerfstudio.store.learnt_scene import LearntScene


def blend(one: LearntScene, other: LearntScene, share: float) -> LearntScene:
    """Mix the planes and weights of two scenes; a share of 0 is the first, 1 the second."""
    occupied = None
    if one.occupied is not None and other.occupied is not None:
        occupied = one.occupied if share <= 0 else other.occupied if share >= 1 else one.occupied | other.occupied
    micro = torch.lerp(one.micro, other.micro, share)
    return replace(one, micro=micro, weights=torch.lerp(one.weights, other.weights, share), occupied=occupied)
