"""What ns-export is told before it begins: which kinds do not apply, and where a scene is."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from jaxtyping import Float

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.terminal import clear_errors, warn
from tda_nerfstudio.core.showing import OneScene
from tda_nerfstudio.core.solid import why_not_solid

INSTEAD = {"marching-cubes": "mesh", "gaussian-splat": "splats"}
"""Kinds that need a signed distance or splats of a model, and what `tda export` has in their place."""
BOUNDS = ("--bounding-box-min", "--bounding-box-max", "--use-bounding-box")
TEXTURE = ("--texture-method", "--target-num-faces", "--num-pixels-per-side")


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


def require_surface(scene: OneScene, name: str) -> None:
    """End with a message and exit code 1 where a scene has no surface: point clouds would be searched for ever."""
    reason = why_not_solid(scene)
    if reason:
        with clear_errors():
            raise TdaError(
                f"Scene '{name}' has no surface: {reason}. Learn it longer, or name another one with TDA_SCENE."
            )


def advise(box: Float[torch.Tensor, "2 3"]) -> None:
    """Say, before ns-export tsdf and poisson work for minutes, what they do unless they are told otherwise.

    The first takes the cube from -1 to 1, whatever is in it: what lies outside is cut off, and what no camera sees of
    the cube becomes walls. Both unwrap 50,000 faces in a way that takes a GPU.
    """
    kind, words = _asked()
    given = {word.split("=")[0].replace("_", "-") for word in words}
    if kind == "tsdf" and not given & set(BOUNDS):
        low, high = (" ".join(f"{value:.3f}" for value in corner.tolist()) for corner in box)
        warn(
            f"ns-export tsdf takes the cube from -1 to 1. These scenes are in the box from ({low}) to ({high}). Give",
            f"--bounding-box-min {low} --bounding-box-max {high}",
        )
    if kind in ("tsdf", "poisson") and not given & set(TEXTURE) and not torch.cuda.is_available():
        warn(
            f"The texture of ns-export {kind} takes longer than ten minutes on a CPU. `tda export mesh RUN OUT` makes"
            " one in seconds. Or give",
            "--target-num-faces 5000 --num-pixels-per-side 512",
        )
