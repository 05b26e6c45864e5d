"""What ns-export is told before it begins: which kinds do not apply, and where a scene is."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from jaxtyping import Float

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.terminal import clear_errors, warn

INSTEAD = {"marching-cubes": "mesh", "gaussian-splat": "splats"}
"""Kinds that need a signed distance or splats of a model, and what `tda export` has in their place."""
BOUNDS = ("--bounding-box-min", "--bounding-box-max", "--use-bounding-box")


def _asked() -> tuple[str, list[str]]:
    """Give the kind that ns-export was asked for, and its options; "" in any other program."""
    program, *words = sys.argv
    exports = Path(program).stem in ("ns-export", "exporter") and words
    return (words[0], words[1:]) if exports else ("", [])


def refuse_exports() -> None:
    """End ns-export with a message and exit code 1 if its kind does not apply.

    nerfstudio itself would open the run and fail later, for some kinds after minutes.
    """
    kind, _ = _asked()
    if kind in INSTEAD:
        with clear_errors():
            what = "a signed distance" if kind == "marching-cubes" else "splats"
            raise TdaError(
                f"ns-export {kind} does not apply: it needs a model of {what}, and these scenes have densities. Use"
                f" `tda export {INSTEAD[kind]} RUN OUT`, or ns-export pointcloud, tsdf, poisson or cameras."
            )


def advise_on_bounds(box: Float[torch.Tensor, "2 3"]) -> None:
    """Say, before ns-export tsdf works for minutes, how it gets the scenes' own box.

    By default it takes the cube from -1 to 1, whatever is in it: what lies outside is cut off, and what no camera sees
    of the cube becomes walls.
    """
    kind, words = _asked()
    if kind == "tsdf" and not any(word.split("=")[0].replace("_", "-") in BOUNDS for word in words):
        low, high = (" ".join(f"{value:.3f}" for value in corner.tolist()) for corner in box)
        warn(
            f"ns-export tsdf takes the cube from -1 to 1 unless it is told otherwise. These scenes are in the box from"
            f" ({low}) to ({high}): give",
            f"--bounding-box-min {low} --bounding-box-max {high}",
        )
