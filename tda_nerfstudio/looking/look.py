"""What somebody looks at: plain data, which controls change and a picture follows from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from tda_nerfstudio.core.showing import OUTPUTS

Mode = Literal["alone", "beside", "wipe", "truth"]
"""One scene; two side by side through tied cameras; both in one picture with a line between; and beside its image."""
MODES: tuple[str, ...] = get_args(Mode)
Parts = Literal["all", "micro", "macro"]
"""Whether planes are a scene's own and shared ones, its own alone, or the shared ones alone."""
PARTS: tuple[str, ...] = get_args(Parts)
OF_TRUTH = ("truth", "error", "autoencoder")
"""What can be shown of scenes whose images are at hand, through the camera of the nearest one."""
ALL_OUTPUTS = (*OUTPUTS, *OF_TRUTH)
COMPONENTS = 5
"""Principal components of the weights that can be moved along."""


@dataclass(frozen=True)
class Look:
    """One tab's choices."""

    scene: str
    output: str = "rgb"
    """One of ALL_OUTPUTS."""
    channel: int | None = None
    """A single channel of the latents, in grey; by default all, in the colours of the space's palette."""
    other: str | None = None
    """Name of the scene that it is compared and blended with."""
    mode: Mode = "alone"
    split: float = 0.5
    """Where the line of a wipe is, as a share of the width."""
    share: float = 0.0
    """How much of the other scene is blended in, in [0, 1]."""
    parts: Parts = "all"
    components: tuple[float, ...] = (0.0,) * COMPONENTS
    """Steps along the class' principal components, in standard deviations."""

    @property
    def is_decoded(self) -> bool:
        """Whether it shows one scene's decoded image, and nothing beside."""
        return self.output == "rgb" and (self.mode == "alone" or (self.other is None and self.mode != "truth"))
