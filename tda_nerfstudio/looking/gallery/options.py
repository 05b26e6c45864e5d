"""What the pictures of a gallery are like."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tda_nerfstudio.base.checks import require_counts
from tda_nerfstudio.base.errors import TdaError

USUAL_SIZE = 128
"""Width in pixels of a frame, unless the store's images are smaller."""
LONGEST_SIDE = 16383
"""Pixels that a WebP file has at most along a side."""
LEAST_KILOBYTES = 20
PAGE = 10_000
"""Bytes to keep for what a scene has besides pictures: its page, and its lines in lists."""


@dataclass(frozen=True)
class Options:
    """Options of `tda gallery`, as they are given."""

    frames: int = 24
    """Of a full turn."""
    size: int | None = None
    """Width of a frame in pixels; None for that of the store's images, at most USUAL_SIZE."""
    views: int = 3
    """Views on a scene's page."""
    quality: int = 85
    """Of WebP files, 1 to 100."""
    kilobytes: int = 60
    """That a scene takes at most (1 kB is 1000 bytes): pictures get a lower quality where they would need more."""

    def check(self) -> None:
        """Raise TdaError for what cannot be."""
        require_counts(frames=self.frames, size=self.size, views=self.views, quality=self.quality)
        if self.quality > 100:
            raise TdaError(f"--quality is {self.quality}. Give a number from 1 to 100.")
        if self.kilobytes < LEAST_KILOBYTES:
            raise TdaError(f"--kilobytes is {self.kilobytes}. A scene needs {LEAST_KILOBYTES} or more.")


@dataclass(frozen=True)
class Sheet:
    """How the frames of a turn lie in one image: row by row."""

    frames: int
    columns: int
    rows: int
    width: int
    """Of a frame, in pixels."""
    height: int

    @classmethod
    def of(cls, options: Options, width: int, height: int) -> Sheet:
        """Lay out a sheet for a store whose images have this size. Raises TdaError for one that is too large."""
        own = options.size or min(width, USUAL_SIZE)
        high = max(round(own * height / width), 1)
        columns = math.ceil(math.sqrt(options.frames))
        rows = math.ceil(options.frames / columns)
        if max(columns * own, rows * high) > LONGEST_SIDE:
            raise TdaError(
                f"{options.frames} frames of {own} x {high} pixels do not fit into one picture of {LONGEST_SIDE} x"
                f" {LONGEST_SIDE}. Give fewer --frames or a smaller --size."
            )
        return cls(options.frames, columns, rows, own, high)

    @property
    def rest(self) -> int:
        """The frame that is shown while nothing turns: from the front and a little from the side."""
        return round(self.frames * 0.85) % self.frames
