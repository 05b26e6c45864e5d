"""Micro planes in fewer bytes: float16, or int8 or int4 with a scale for each plane and channel."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

Precision = Literal["int4", "int8", "fp16", "fp32"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
DTYPES = {"int4": torch.uint8, "int8": torch.int8, "fp16": torch.float16, "fp32": torch.float32}
STEPS = {"int4": 7, "int8": 127}
"""Steps from 0 to the largest absolute value."""


def pack(micro: Float[Tensor, "scene 3 R R F"], precision: Precision) -> dict[str, Tensor]:
    """Round micro planes to a precision: "micro", and for integers "scale" [scene, 3, F], the value of one step.

    int8 and float formats keep the shape. int4 puts two cells of a row into a byte, the first one in its low half:
    [scene, 3, R, ceil(R / 2), F].
    """
    if precision not in STEPS:
        return {"micro": micro.to(DTYPES[precision])}
    most = STEPS[precision]
    scale = micro.abs().amax((2, 3)) / most
    steps = (micro / scale.clamp(min=1e-30)[:, :, None, None]).round().clamp(-most, most).to(torch.int8)
    if precision == "int4":
        even = torch.nn.functional.pad(steps, (0, 0, 0, steps.shape[3] % 2)) + 8
        steps = (even[:, :, :, 0::2] + 16 * even[:, :, :, 1::2].to(torch.uint8)).to(torch.uint8)
    return {"micro": steps, "scale": scale.float()}


def unpack(parts: dict[str, Tensor], resolution: int) -> Float[Tensor, "scene 3 R R F"]:
    """Undo `pack`, up to its rounding, in float32. `resolution` is R."""
    micro = parts["micro"]
    if micro.dtype == torch.uint8:
        pairs = torch.stack([micro & 15, micro >> 4], 4).flatten(3, 4)
        micro = pairs[:, :, :, :resolution].to(torch.int8) - 8
    return micro.float() * parts["scale"][:, :, None, None] if "scale" in parts else micro.float()
