"""A learnt scene: what is its own, and how a file keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float
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
    """Where it comes from: data, seed, visits, versions."""
    finished: bool = True
    """Whether it was learnt to the end; else it is what was there when training was last saved."""


@dataclass(frozen=True)
class LearntScene:
    """A scene's own tensors: all that is not shared."""

    record: Record
    micro: Float[Tensor, "3 R R mic"]
    weights: Float[Tensor, " base"]
    occupied: Bool[Tensor, "G G G"] | None = None
    """Where it is not empty; scenes without micro planes come without, as it follows from their few weights."""


@dataclass(frozen=True)
class PackedScenes:
    """Scenes as a file keeps them: to move them changes no bit."""

    records: list[Record]
    tensors: dict[str, Tensor]
    """A row for each scene."""
    precision: Precision

    @classmethod
    def of(cls, scenes: Sequence[LearntScene], precision: Precision) -> PackedScenes:
        """Pack scenes. Raises StoreError for one with micro planes that does not say where it is empty."""
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
        """Put scenes of one precision together."""
        tensors = {key: torch.cat([part.tensors[key] for part in parts]) for key in parts[0].tensors}
        return cls([record for part in parts for record in part.records], tensors, parts[0].precision)


def to_bits(flags: Bool[Tensor, "scene cell"]) -> Tensor:
    import numpy as np

    return torch.from_numpy(np.packbits(flags.cpu().numpy(), axis=1))


def from_bits(bits: Tensor, count: int) -> Bool[Tensor, " cell"]:
    import numpy as np

    return torch.from_numpy(np.unpackbits(bits[0].numpy(), count=count).astype(bool))
