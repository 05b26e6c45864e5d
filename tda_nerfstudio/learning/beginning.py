"""Where new scenes begin: at the mean of scenes that are learnt, and in all cells that any of those occupies."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor

from tda_nerfstudio.base.errors import TdaError


class Beginning(NamedTuple):
    """What every new scene begins with. Its micro planes are 0, but where the starter gives it others."""

    weights: Float[Tensor, " base"]
    occupied: Bool[Tensor, "G G G"]
    starts: bool = False
    """Whether the starter, if there is one, gives planes and weights to scenes with silhouettes."""


def mean_beginning(
    weights: Float[Tensor, "scene base"], occupied: Bool[Tensor, "scene G G G"], where: str
) -> Beginning:
    """Compute the mean weights and all occupied cells of the scenes that did not diverge.

    `where` names their origin in the TdaError that is raised when all of them diverged.
    """
    good = weights.isfinite().all(1)
    if not good.any():
        raise TdaError(f"{where} has no scene to start from: all of them diverged. Train it again.")
    return Beginning(weights[good].mean(0), occupied[good].any(0))
