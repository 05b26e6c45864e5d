"""A learnt scene: the tensors that are its own, what is known of it, and how files keep both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tda_nerfstudio.base.errors import StoreError
from tda_nerfstudio.core.scenes import TriPlaneConfig
from tda_nerfstudio.store.precision import Precision, pack, unpack


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
            cells = torch.stack([scene.occupied.flatten() for scene in scenes])  # type: ignore[union-attr]
            tensors["occupied"] = torch.from_numpy(np.packbits(cells.cpu().numpy(), axis=1))
        return cls([scene.record for scene in scenes], tensors, precision)

    def unpack(self, triplane: TriPlaneConfig) -> LearntScene:
        """Return the first scene, in float32. Raises ValueError for numbers that are not finite."""
        parts, grid = {key: tensor[:1] for key, tensor in self.tensors.items()}, triplane.grid
        weights, micro = parts["weights"][0].float(), unpack(parts, triplane.resolution)[0]
        if not (micro.isfinite().all() and weights.isfinite().all()):
            raise ValueError("its numbers are not all finite")
        occupied = None
        if "occupied" in parts:
            cells = np.unpackbits(parts["occupied"][0].numpy(), count=grid**3)
            occupied = torch.from_numpy(cells.astype(bool)).view(grid, grid, grid)
        return LearntScene(self.records[0], micro, weights, occupied)

    @classmethod
    def join(cls, parts: Sequence[PackedScenes]) -> PackedScenes:
        """Join scenes of the same precision."""
        tensors = {key: torch.cat([part.tensors[key] for part in parts]) for key in parts[0].tensors}
        return cls([record for part in parts for record in part.records], tensors, parts[0].precision)
