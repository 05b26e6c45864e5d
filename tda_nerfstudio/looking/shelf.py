"""All that a viewer asks of scenes: finding them, what is known of them, and the tensors of any look at them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import cached_property
from threading import Lock
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.base.errors import StoreError
from tda_nerfstudio.core.palette import Palette, one_channel, space_palette
from tda_nerfstudio.core.showing import OneScene
from tda_nerfstudio.looking.blend import blend
from tda_nerfstudio.looking.look import COMPONENTS, Look
from tda_nerfstudio.looking.source import Source
from tda_nerfstudio.looking.truth import Truth
from tda_nerfstudio.store.learnt_scene import LearntScene, Record
from tda_nerfstudio.store.stored_scene import sight

Order = Literal["name", "best first", "worst first", "newest first"]
SIGHTS_KEPT = 128
"""Looks whose planes stay in memory, 0.8 MB each with usual sizes."""
SCENES_COMPARED = 128
"""Scenes whose weights tell the class' principal components."""


class Component(NamedTuple):
    """A direction in which the weights of a class' scenes vary."""

    axis: Float[Tensor, " base"]
    """One standard deviation."""
    share: float
    """Of the whole variance."""
    low: str
    """The scene that is furthest on the negative side."""
    high: str


class Shelf:
    """A source's scenes, with their images where these are at hand. Several threads may ask at once."""

    def __init__(self, source: Source, truth: Truth | None = None) -> None:
        self.source, self.truth = source, truth
        self._kept: OrderedDict[Hashable, OneScene] = OrderedDict()
        self._palette: tuple[int, Palette] | None = None
        self._lock = Lock()

    @property
    def names(self) -> list[str]:
        """Names of all scenes, also of those that were put aside."""
        return sorted({*self.source.names, *self.source.aside()})

    def find(self, text: str = "", order: Order = "name") -> list[str]:
        """List the scenes whose names have all words of a text, in whatever case. Those without a PSNR come last."""
        words = text.lower().split()
        found = [name for name in self.names if all(word in name.lower() for word in words)]
        if order == "name":
            return found
        if order == "newest first":
            return sorted(found, key=lambda name: -self._facts(name).get("written", 0))
        sign = -1 if order == "best first" else 1
        quality = {name: self.record(name).metrics.get("psnr") for name in found}
        return sorted(found, key=lambda n: (not isinstance(quality[n], int | float), sign * (quality[n] or 0)))

    def is_learnt(self, name: str) -> bool:
        """Whether a scene has tensors: those that were put aside have none."""
        return name in self.source.names

    def record(self, name: str) -> Record:
        """Give what is known of a scene; of one that was put aside, its name."""
        return self.source.record(name) if name in self.source.names else Record(name, finished=False)

    def card(self, name: str) -> dict[str, Any]:
        """List what there is to know of a scene, by heading, the most telling first."""
        from tda_nerfstudio.core.metrics import METRICS

        record, facts = self.record(name), self._facts(name)
        known = {m.heading: record.metrics[key] for key, m in METRICS.items() if key in record.metrics and m.headline}
        if "ceiling_psnr" in record.metrics:
            known["ceiling [dB]"] = record.metrics["ceiling_psnr"]
        if self.truth is not None and (views := self.truth.views(name)) is not None:
            known["views at hand"] = len(views)
        known |= {"bytes": facts["bytes"]} if "bytes" in facts else {}
        known |= {"unfinished": "stored before its training ended"} if not record.finished and facts else {}
        known |= {"put aside": self.source.aside()[name]} if name in self.source.aside() else {}
        return known | record.provenance

    def _facts(self, name: str) -> dict[str, int]:
        return dict(self.source.facts(name)) if name in self.source.names else {}

    def sight(self, look: Look) -> OneScene:
        """Prepare the scene of a look, blended and moved as it says. Raises StoreError for one that has no tensors."""
        key = (
            self.source.state,
            look.scene,
            look.parts,
            look.components,
            *([look.other, look.share] * (look.share > 0)),
        )
        return self._keep(key, lambda: sight(self.source.parts, self._shaped(look)))

    def _keep(self, key: Hashable, make: Callable[[], OneScene]) -> OneScene:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > SIGHTS_KEPT:
                self._kept.popitem(last=False)
        return made

    def learnt(self, name: str) -> LearntScene:
        """Read a scene. Raises StoreError for one that was put aside, is unknown or damaged."""
        if name in self.source.aside() and name not in self.source.names:
            raise StoreError(f"Scene '{name}' was put aside: {self.source.aside()[name]}")
        return self.source.learnt(name)

    def _shaped(self, look: Look) -> LearntScene:
        learnt = self.learnt(look.scene)
        if look.share > 0 and look.other is not None:
            learnt = blend(learnt, self.learnt(look.other), look.share)
        if any(look.components):
            moved = learnt.weights.clone()
            for steps, component in zip(look.components, self.components, strict=False):
                moved += steps * component.axis.to(moved)
            learnt = self._refilled(replace(learnt, weights=moved))
        if look.parts == "micro":
            learnt = replace(learnt, weights=torch.zeros_like(learnt.weights))
        elif look.parts == "macro":
            learnt = replace(learnt, micro=torch.zeros_like(learnt.micro))
        return learnt

    def _refilled(self, learnt: LearntScene) -> LearntScene:
        """Find where a changed scene is, among the cells that it or any scene of the class filled."""
        if learnt.occupied is None:
            return learnt
        shared = self.source.parts.occupied.to(learnt.occupied.device)
        found = sight(self.source.parts, replace(learnt, occupied=None))[2][0].to(learnt.occupied.device)
        return replace(learnt, occupied=found & (shared | learnt.occupied))

    @cached_property
    def components(self) -> list[Component]:
        """The principal components of the weights of up to SCENES_COMPARED scenes, the most varying first."""
        names = list(self.source.names)
        chosen = [names[i] for i in np.unique(np.linspace(0, len(names) - 1, SCENES_COMPARED).astype(int))]
        weights = {}
        for name in chosen:
            try:
                weights[name] = self.source.learnt(name).weights.cpu().double()
            except StoreError:
                continue
        return principal_components(weights)

    def palette(self, look: Look) -> Palette:
        """Give the colours that a look shows latents in: a channel in grey, or those that the space has for all."""
        parts, state = self.source.parts, self.source.state
        if look.channel is not None:
            return one_channel(parts.scenes.channels, look.channel, parts.scenes.box)
        if self._palette is None or self._palette[0] != state:
            self._palette = state, space_palette(parts.scenes, parts.autoencoder, parts.weights)
        return self._palette[1]


def principal_components(weights: dict[str, Float[Tensor, " base"]]) -> list[Component]:
    """Find the directions in which weights of scenes, by name, vary most: at most COMPONENTS of them."""
    if len(weights) < 2 or not len(next(iter(weights.values()))):
        return []
    names, rows = list(weights), torch.stack(list(weights.values()))
    offsets = rows - rows.mean(0)
    _, spread, axes = torch.linalg.svd(offsets, full_matrices=False)
    variance, found = spread.square(), []
    for k in range(min(COMPONENTS, len(spread))):
        if not variance[k] > 1e-12 * variance.sum():
            break
        axis = axes[k] * axes[k][axes[k].abs().argmax()].sign()  # else a sign would be chance
        along = offsets @ axis
        low, high = (names[int(place)] for place in (along.argmin(), along.argmax()))
        deviation = (variance[k] / (len(rows) - 1)).sqrt()
        found.append(Component((axis * deviation).float(), float(variance[k] / variance.sum()), low, high))
    return found
