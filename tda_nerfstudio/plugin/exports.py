"""Refuse the kinds of ns-export that our scenes cannot provide, before it begins."""

from __future__ import annotations

import sys
from pathlib import Path

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.terminal import clear_errors

KINDS = ("pointcloud", "tsdf", "poisson", "marching-cubes", "gaussian-splat")
"""Kinds that need single rays, a signed distance or splats of a model. `cameras` needs none of these and works."""


def refuse_exports() -> None:
    """End ns-export with a message and exit code 1 if its kind does not apply.

    nerfstudio itself would open the run and fail later, for some kinds after minutes.
    """
    program, *words = sys.argv
    if Path(program).stem in ("ns-export", "exporter") and words and words[0] in KINDS:
        with clear_errors():
            raise TdaError(
                f"ns-export {words[0]} does not apply: these scenes are decoded from latents, a whole image at a time,"
                " and single rays have no colour. What works: images and videos with `ns-render` and `tda render RUN`,"
                " poses with `ns-export cameras`."
            )
