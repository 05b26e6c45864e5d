"""Where new scenes begin: at the mean of those that are learnt already, in all the space that these fill."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor

from tda_nerfstudio.base.errors import TdaError


class Beginning(NamedTuple):
    """The weights that every new scene has at first, and where it is not empty."""

    weights: Float[Tensor, " base"]
    occupied: Bool[Tensor, "G G G"]


def mean_beginning(
    weights: Float[Tensor, "scene base"], occupied: Bool[Tensor, "scene G G G"], where: str
) -> Beginning:
    """Begin at the mean of scenes. Scenes that diverged are left out. Raises TdaError when all of them did."""
    good = weights.isfinite().all(1)
    if not good.any():
        raise TdaError(f"{where} has no scene to start from: all of them diverged. Train it again.")
    return Beginning(weights[good].mean(0), occupied[good].any(0))
