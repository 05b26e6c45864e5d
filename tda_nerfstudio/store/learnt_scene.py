"""A learnt scene: the tensors that are its own, what is known of it, and how files keep both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from tda_nerfstudio.base.errors import StoreError
from tda_nerfstudio.store.precision import Precision, pack


@dataclass(frozen=True)
class Record:
    """What is known of a scene besides its tensors."""

    name: str
    metrics: dict[str, float] = field(default_factory=dict)
    """Means over its held-out views: psnr [dB], ssim, ..."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Data, seed, visits and versions that it was learnt with."""
    finished: bool = True
    """False for a scene that was stored before its training ended."""


@dataclass(frozen=True)
class LearntScene:
    """A scene's own tensors: all that it does not share with others."""

    record: Record
    micro: Float[Tensor, "3 R R mic"]
    weights: Float[Tensor, " base"]
    occupied: Bool[Tensor, "G G G"] | None = None
    """Cells, indexed [x, y, z], that are not empty. None without micro planes: then the weights alone tell."""


@dataclass(frozen=True)
class PackedScenes:
    """Scenes as files keep them, so that moving them between files changes no bit."""

    records: list[Record]
    tensors: dict[str, Tensor]
    """[scene, ...]: micro and, for integers, scale as `pack` gives them; weights in float16; occupied as bits."""
    precision: Precision

    @classmethod
    def of(cls, scenes: Sequence[LearntScene], precision: Precision) -> PackedScenes:
        """Round scenes to a precision. Raises StoreError for a scene with micro planes and without `occupied`."""
        packed = pack(torch.stack([scene.micro for scene in scenes]), precision)
        tensors = packed | {"weights": torch.stack([scene.weights for scene in scenes]).half()}
        if packed["micro"].numel():
            blind = [scene.record.name for scene in scenes if scene.occupied is None]
            if blind:
                raise StoreError(
                    f"Scene '{blind[0]}' has micro planes and does not say where it is empty ({len(blind)} of"
                    f" {len(scenes)} scenes): nothing was written. Give `occupied`, all True where nothing is known."
                )
            tensors["occupied"] = to_bits(torch.stack([scene.occupied.flatten() for scene in scenes]))  # type: ignore
        return cls([scene.record for scene in scenes], tensors, precision)

    @classmethod
    def join(cls, parts: Sequence[PackedScenes]) -> PackedScenes:
        """Join scenes of the same precision."""
        tensors = {key: torch.cat([part.tensors[key] for part in parts]) for key in parts[0].tensors}
        return cls([record for part in parts for record in part.records], tensors, parts[0].precision)


def to_bits(flags: Bool[Tensor, "scene cell"]) -> UInt8[Tensor, "scene byte"]:
    """Pack eight flags into a byte, the first one highest."""
    return torch.from_numpy(np.packbits(flags.cpu().numpy(), axis=1))


def from_bits(bits: UInt8[Tensor, "1 byte"], count: int) -> Bool[Tensor, " cell"]:
    """Unpack `count` flags of one scene."""
    return torch.from_numpy(np.unpackbits(bits[0].numpy(), count=count).astype(bool))
