"""One scene of a store while it is exported: its views and its surface, each made when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.showing import OneScene
from tda_nerfstudio.core.solid import why_not_solid
from tda_nerfstudio.core.view import View
from tda_nerfstudio.export.surface import find_surface
from tda_nerfstudio.export.survey import Survey, cameras_around, survey
from tda_nerfstudio.looking.truth import Truth
from tda_nerfstudio.store.manifest import DefaultCamera
from tda_nerfstudio.store.store import Store
from tda_nerfstudio.store.stored_scene import sight

if TYPE_CHECKING:
    from trimesh import Trimesh

VIEWS, HELD_OUT = 32, 8
"""Views to make things from, and views to score them with."""
LEAST_TRUE, MOST_TRUE = 16, 64
"""Images of an atlas that are used at most, and at least: fewer leave sides that none of them shows."""
TOLERANCE = 0.02
"""Depth, in shares of the box' longest side, by which a point may lie behind what a view sees there and is seen."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Views of a scene that nothing is made from."""

    views: Survey
    """As the scene shows them."""
    truth: Float[Tensor, "view 3 height width"] | None
    """Images, where they are at hand."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A scene of a store, on the store's device, with its images where they are at hand."""

    name: str
    scene: OneScene
    camera: DefaultCamera
    sampling: SamplingConfig
    truth: Truth | None = None
    decoded: bool = False
    """Whether it is made from decoded views even where there are images: these then only score it."""

    @classmethod
    def of(cls, store: Store, name: str, truth: Truth | None = None, decoded: bool = False) -> Subject:
        """Read a scene. Raises TdaError for a damaged one, and for one without anything solid."""
        stored = store[name]
        scene = sight(stored.shared, stored.learnt)
        reason = why_not_solid(scene)
        if reason:
            raise TdaError(f"It has no surface: {reason}. Learn it longer, or leave it out.")
        return cls(name, scene, stored.camera, stored.shared.config.sampling, truth, decoded)

    @property
    def box(self) -> Float[Tensor, "2 3"]:
        """The lowest and the highest corner of the space that scenes are in, in the world frame."""
        return self.scene[0].box

    @property
    def tolerance(self) -> float:
        """TOLERANCE in world units."""
        return TOLERANCE * float((self.box[1] - self.box[0]).amax())

    def seen(self, view: View, images: Float[Tensor, "view 3 height width"] | None = None) -> Survey:
        """Render it from cameras of the training images' size; images that are given take the place of decoded ones."""
        sized = replace(view, width=self.camera.width, height=self.camera.height)
        return survey(self.scene, sized, self.sampling, self.camera.focal, images)

    @cached_property
    def around(self) -> Survey:
        """Decoded views from all around."""
        return self.seen(cameras_around(self.camera, self.box.mean(0).cpu(), VIEWS))

    @cached_property
    def views(self) -> Survey:
        """What its colours are taken from: its training images where enough are at hand, else decoded views."""
        photographs = None if self.decoded else self._photographs("train", MOST_TRUE)
        return self.around if photographs is None or len(photographs[0]) < LEAST_TRUE else self.seen(*photographs)

    @cached_property
    def held_out(self) -> HeldOut:
        """Views to score with: those of held-out images where they are at hand, else from between the others."""
        photographs = self._photographs("test", 2 * HELD_OUT)
        if photographs is None:
            between = cameras_around(self.camera, self.box.mean(0).cpu(), HELD_OUT, first=VIEWS)
            return HeldOut(self.seen(between), None)
        view, images = photographs
        return HeldOut(self.seen(view), images.to(self.box))

    def _photographs(
        self, split: Literal["train", "test"], most: int
    ) -> tuple[View, Float[Tensor, "view 3 height width"]] | None:
        """Read up to so many images of a split, spread evenly, with their cameras; None where there is none."""
        scene = None if self.truth is None else self.truth.scene(self.name)
        if self.truth is None or scene is None or not len(views := getattr(scene, split)):
            return None
        rows = np.unique(np.linspace(0, len(views) - 1, most).round().astype(int)).tolist()
        images = {row: image for row in rows if (image := self.truth.image(views, row)) is not None}
        return (View(*views[list(images)]), torch.stack(list(images.values()))) if images else None

    def surface(self, side: int) -> Trimesh:
        """Find its surface with side^3 cells. Raises TdaError where it has none."""
        return find_surface(self.scene, self.around, side)
