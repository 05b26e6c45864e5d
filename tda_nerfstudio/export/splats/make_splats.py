"""`tda export splats`: one scene as splats."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Literal

import torch

from tda_nerfstudio.base.checks import require_between
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.export.files.splat_files import bytes_a_splat, require_writer, splat_file
from tda_nerfstudio.export.made import WORLD, Made, header
from tda_nerfstudio.export.scores import scores
from tda_nerfstudio.export.splats.beginning import begin
from tda_nerfstudio.export.splats.gaussians import Splats
from tda_nerfstudio.export.splats.on_gsplat import has_gsplat, rasterise_on_cuda
from tda_nerfstudio.export.splats.rasteriser import rasterise
from tda_nerfstudio.export.splats.refine import Draw, images, refine
from tda_nerfstudio.export.subject import Subject
from tda_nerfstudio.export.surface import SIDE

Format = Literal["ply", "splat", "spz"]
MOST = 1_000_000
"""Splats of a scene: more see nothing more in images of any usual size."""
FAINT = 0.02
"""Opacity of splats that are left out."""
SUFFIXES = {"ply": ".splats.ply", "splat": ".splat", "spz": ".spz"}
"""How files of each kind end."""


@dataclass(frozen=True)
class SplatOptions:
    """How many splats, of which kind, in which files."""

    count: int = 5000
    kilobytes: float | None = None
    """Size of the first kind of file; it takes the place of `count`."""
    degree: int = 0
    steps: int = 180
    formats: tuple[Format, ...] = ("ply",)

    def check(self) -> None:
        """Raise TdaError for what cannot be made."""
        if not self.formats:
            raise TdaError("--formats names no kind of file. Give ply, splat or spz.")
        require_between("degree", self.degree, 0, 2)
        if self.kilobytes is None:
            require_between("count", self.count, 1, MOST)
        elif not (isfinite(self.kilobytes) and 1 <= self.splats <= MOST):
            raise TdaError(
                f"--kilobytes is {self.kilobytes:g}, which is not the size of 1 to {MOST:,} splats. Give from 2 to"
                f" {MOST * bytes_a_splat(self.formats[0], self.degree) // 1000:,}."
            )
        require_between("steps", self.steps, 0, 100_000)
        if "splat" in self.formats and self.degree:
            raise TdaError(
                "Files .splat hold one colour a splat, whatever the direction. Leave --degree out, or choose another"
                " of --formats."
            )
        for kind in self.formats:
            require_writer(kind)

    def names(self, scene: str) -> list[str]:
        """Name the files of a scene."""
        return [f"{scene}{SUFFIXES[kind]}" for kind in self.formats]

    @property
    def splats(self) -> int:
        """Number of splats: given, or as many as fit."""
        if self.kilobytes is None:
            return self.count
        header = 900 + 20 * 3 * (self.degree + 1) ** 2  # with a line a property
        return int((self.kilobytes * 1000 - header) / bytes_a_splat(self.formats[0], self.degree))


def make_splats(subject: Subject, options: SplatOptions) -> Made:
    """Make splats of a scene: discs on its surface, fitted to its views. Raises TdaError where it has no surface.

    Figures are those of plain viewers, and of gsplat's antialiased mode (AA), in which splats dim with their blur: at
    the small size of training images the blur of plain ones is wide, in windows of usual size both are alike.
    """
    surface, views, count = subject.surface(SIDE), subject.views, options.splats
    draw: Draw = rasterise_on_cuda if views.rgb.is_cuda and has_gsplat() else rasterise
    splats = begin(surface, views, count, options.degree, subject.tolerance)
    splats = refine(splats, views, draw, options.steps, sqrt(surface.area / count))
    splats = _visible(splats)
    held_out = subject.held_out
    figures = {}
    for antialiased, where in ((False, "plain"), (True, "AA")):
        seen = images(splats, held_out.views.view, draw, *held_out.views.size, antialiased)
        figures |= scores(seen, held_out, f"{where} ")
    figures["splats"] = len(splats)
    comments = header(subject.name, WORLD)
    files = {f"{subject.name}{SUFFIXES[kind]}": splat_file(splats, kind, comments) for kind in options.formats}
    return Made(files, figures)


def _visible(splats: Splats) -> Splats:
    """Leave out splats that show nothing, and those whose numbers are not finite."""
    finite = [part.view(len(splats), -1).isfinite().all(1) for part in splats.tensors().values()]
    return splats[torch.stack(finite).all(0) & (torch.sigmoid(splats.logits) > FAINT)]
