"""Whether a device computes what it should: its float32 against float64 on the CPU, from the same numbers.

An error is the norm of the difference as a share of the norm of what is right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.autoencoder.build import build
from tda_nerfstudio.autoencoder.muon import Muon
from tda_nerfstudio.core.cameras import View
from tda_nerfstudio.core.objective import Batch, Parts, objective, render_batch
from tda_nerfstudio.core.row_adam import RowAdam
from tda_nerfstudio.core.scenes import LatentScenes
from tda_nerfstudio.core.showing import march
from tda_nerfstudio.learning.training_step import parameter_groups
from tda_nerfstudio.studies.bench.training import PHASES
from tda_nerfstudio.studies.bench.workshop import Workshop

SCENES, VISITED, VIEWS = 4, 2, 2
"""Scenes in the table, scenes in a batch, and views of each of these."""
STEPS = 5
"""Of an optimizer."""
EXACT, CLOSE, REDUCED = 1e-3, 1e-2, 5e-2
"""Tolerances: of float32; of convolutions in TF32 or bfloat16; of gradients and kernels through bfloat16."""
Quantities = dict[str, Tensor]


@dataclass(frozen=True)
class Agreement:
    """How far the quantities of one check are from what is right, and how far they may be."""

    check: str
    tolerance: float
    errors: dict[str, float]

    @property
    def worst(self) -> tuple[float, str]:
        """The largest error, and the quantity that has it; NaN is larger than any number."""
        name = max(self.errors, key=lambda name: math.inf if math.isnan(self.errors[name]) else self.errors[name])
        return self.errors[name], name

    @property
    def holds(self) -> bool:
        """Whether all errors are within the tolerance; NaN is not."""
        return all(error <= self.tolerance for error in self.errors.values())


class Place:
    """What the checks compute with, on one device and in one precision; a workshop on the CPU makes all of it."""

    def __init__(self, shop: Workshop, device: torch.device, dtype: torch.dtype) -> None:
        self.shop, self.device, self.dtype = shop, device, dtype

    def put(self, part: Any) -> Any:
        """Bring a module, a tensor, cameras or a batch to the device; what is float gets the precision."""
        if isinstance(part, nn.Module):
            return part.to(self.device, self.dtype)
        if isinstance(part, Tensor):
            return part.to(self.device, self.dtype if part.is_floating_point() else part.dtype)
        if isinstance(part, View):
            return View(*map(self.put, part), width=part.width, height=part.height)
        return type(part)(*map(self.put, part)) if isinstance(part, (Batch, Parts)) else part

    def scenes(self, rgb: bool = False) -> LatentScenes:
        """Make scenes that show a body."""
        return self.put(self.shop.scenes(SCENES, rgb))

    def codec(self, rgb: bool = False) -> Autoencoder:
        """Make an autoencoder that starts from nothing."""
        if rgb:
            return self.put(self.shop.no_codec())
        codec, size = build(replace(self.shop.sizes.autoencoder, start="scratch")), self.shop.sizes.image
        codec.measure_background(size, size)
        return self.put(codec)

    def batch(self, rgb: bool = False, rays: int | None = None) -> Batch:
        """Draw a batch with images, and latents of all pixels or of some parts."""
        return self.put(self.shop.batch(0, SCENES, VISITED, VIEWS, rgb, rays))

    def noise(self, *shape: int, seed: int = 0) -> Tensor:
        """Draw numbers from a normal distribution."""
        return self.put(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))


def rendering(place: Place) -> Quantities:
    """Render a view as it is shown."""
    scenes, codec, batch = place.scenes(), place.codec(), place.batch()
    planes, occupied = scenes.planes(batch.scene[:1]), scenes.occupied[batch.scene[:1]]
    size = place.shop.sizes.image
    return march(scenes, planes, occupied, codec, batch.view[:1], size, size, place.shop.sizes.sampling)._asdict()


def rendering_gradients(place: Place) -> Quantities:
    """Differentiate a random sum of what training renders."""
    scenes, codec, batch = place.scenes(), place.codec(), place.batch()
    seen = render_batch(scenes, scenes.planes(batch.scene), codec, batch, place.shop.sizes.sampling, 0, 0)
    (seen * place.noise(*seen.shape)).sum().backward()
    return {"latents": seen} | _gradients(scenes, codec, ("micro", "weights", "base", "mlp"))


def losses(name: str, place: Place) -> Quantities:
    """Compute a phase's losses and their gradients."""
    phase, rgb, sizes = PHASES[name], name == "rgb", place.shop.sizes
    scenes, codec = place.scenes(rgb), place.codec(rgb)
    for group, params in parameter_groups(scenes, codec).items():
        for param in params:
            param.requires_grad_(group in phase.rates)
    batch = place.batch(rgb, sizes.step.rays if sizes.step.takes_parts(phase) else None)
    assert batch.images is not None
    if phase.needs_images:  # what an autoencoder shows well has gradients of rounding errors
        batch = batch._replace(images=place.noise(*batch.images.shape).sigmoid())
    found = objective(phase, scenes, codec, batch, sizes.rgb_sampling if rgb else sizes.sampling, 0, 0)
    torch.stack(list(found.values())).sum().backward()
    return {f"L_{name}": loss for name, loss in found.items()} | _gradients(scenes, codec, phase.rates)


def _gradients(scenes: LatentScenes, codec: Autoencoder, names: Collection[str]) -> Quantities:
    """Give the gradient of each of the named groups, dense."""
    return {
        f"gradient of {name}": torch.cat([p.grad.to_dense().flatten() for p in params if p.grad is not None])
        for name, params in parameter_groups(scenes, codec).items()
        if name in names
    }


def occupancy(place: Place) -> Quantities:
    """Look where scenes are empty."""
    scenes, codec = place.scenes(), place.codec()
    scenes.refresh(torch.arange(SCENES, device=place.device), codec.background, grow=False)
    return {"cells": scenes.occupied}


def row_adam(place: Place) -> Quantities:
    """Move some rows of a table."""
    start = place.noise(6, 40)
    table = nn.Parameter(start.clone())
    optimizer = RowAdam([table], lr=0.1)
    for step in range(STEPS):
        rows = torch.tensor([0, 2 + step % 3], device=place.device)
        table.grad = torch.sparse_coo_tensor(
            rows[None], place.noise(2, 40, seed=step), table.shape, check_invariants=True
        )
        optimizer.step()
    moved = table.detach() - start
    return {"rows that moved": moved[[0, 2, 3, 4]], "rows that must not move": moved[[1, 5]]}


def muon(place: Place) -> Quantities:
    """Move a kernel and a vector."""
    starts = {"kernel": place.noise(64, 32, 3, 3), "vector": place.noise(64)}
    params = {name: nn.Parameter(start.clone()) for name, start in starts.items()}
    optimizer = Muon(params.values(), lr=1e-2)
    for step in range(STEPS):
        for param in params.values():
            param.grad = place.noise(*param.shape, seed=step)
        optimizer.step()
    return {name: param.detach() - starts[name] for name, param in params.items()}


@torch.no_grad()
def autoencoder(place: Place) -> Quantities:
    """Encode images with the trained autoencoder, and decode what that gives on the CPU in float32."""
    trained, images = place.shop.codec(), place.batch().images
    assert images is not None
    z = place.put(trained.encode(images.float().cpu()))
    codec = place.put(trained)
    return {"latents": codec.encode(images), "images": codec.decode(z)}


CHECKS: dict[str, tuple[Callable[[Place], Quantities], float]] = {
    "rendering": (rendering, EXACT),
    "rendering, gradients": (rendering_gradients, EXACT),
    **{
        f"objective: {name}": (partial(losses, name), REDUCED if phase.needs_images else EXACT)
        for name, phase in PHASES.items()
    },
    "occupancy": (occupancy, CLOSE),
    "RowAdam": (row_adam, EXACT),
    "Muon": (muon, REDUCED),
    "autoencoder": (autoencoder, CLOSE),
}


def check_agreement(name: str, shop: Workshop, device: torch.device) -> Agreement:
    """Do one of the checks on a device; the workshop is on the CPU."""
    compute, tolerance = CHECKS[name]
    right = compute(Place(shop, torch.device("cpu"), torch.float64))
    found = compute(Place(shop, device, torch.float32))
    return Agreement(name, tolerance, {key: error(found[key], value) for key, value in right.items()})


def error(found: Tensor, right: Tensor) -> float:
    """Divide the norm of the difference by the norm of what is right, unless that is 0."""
    right = right.detach().double().cpu()
    return float((found.detach().double().cpu() - right).norm() / (right.norm() if right.any() else 1))
