"""Micro planes in fewer bytes: float32, float16, or int8 with a scale per plane and channel."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

Precision = Literal["int8", "fp16", "fp32"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
DTYPES = {"int8": torch.int8, "fp16": torch.float16, "fp32": torch.float32}


def pack(micro: Float[Tensor, "scene 3 R R F"], precision: Precision) -> dict[str, Tensor]:
    """Round micro planes; with int8 also give the size of its steps, [scene, 3, F]."""
    if precision != "int8":
        return {"micro": micro.to(DTYPES[precision])}
    scale = micro.abs().amax((2, 3)) / 127
    steps = micro / scale.clamp(min=1e-30)[:, :, None, None]
    return {"micro": steps.round().clamp(-127, 127).to(torch.int8), "scale": scale.float()}


def unpack(parts: dict[str, Tensor]) -> Float[Tensor, "scene 3 R R F"]:
    """Give what `pack` rounded as float32."""
    micro = parts["micro"].float()
    return micro if "scale" not in parts else micro * parts["scale"][:, :, None, None]
