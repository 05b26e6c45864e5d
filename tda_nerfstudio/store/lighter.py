"""A store in fewer bytes: orthonormal base planes, without those that scenes use least, and rounded micro planes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.base.atomic import require_writable
from tda_nerfstudio.base.errors import StoreError
from tda_nerfstudio.core.scenes import LatentScenes
from tda_nerfstudio.store.precision import Precision
from tda_nerfstudio.store.scene_files import TOGETHER
from tda_nerfstudio.store.shared_parts import SharedParts, is_store, write_shared_parts
from tda_nerfstudio.store.store import Store


def orthonormal(
    base: Float[Tensor, "base 3 R R mac"], weights: Float[Tensor, "scene base"]
) -> tuple[Float[Tensor, "base 3 R R mac"], Float[Tensor, "base base"]]:
    """Compute base planes that are orthogonal, with a mean square of 1, sorted by how much scenes use them.

    Also returns the matrix T that turns weights into those of the new planes: (w T) . new = w . base. If base planes
    are linearly dependent, the last new planes are zeros.
    """
    flat = base.flatten(1).double()
    values, vectors = torch.linalg.eigh(flat @ flat.T)
    sizes = values.clamp(min=0).sqrt()
    known = sizes > 1e-7 * sizes.max()
    unit = torch.where(known, 1 / sizes.clamp(min=1e-300), 0.0)
    root = flat.shape[1] ** 0.5
    change = vectors * sizes / root
    order = (weights.double() @ change).square().mean(0).argsort(descending=True)
    planes = (vectors * unit).T @ flat * root
    return planes[order].view_as(base).to(base.dtype), change[:, order].to(base.dtype)


def lighten(store: Store, folder: Path, bases: int | None = None, precision: Precision = "int4") -> Store:
    """Write a store's scenes into a new store with orthonormal base planes: all, or the `bases` that are used most.

    Micro planes are rounded to `precision`. Raises StoreError when the folder is a store already, and when the store
    has fewer base planes than asked for.
    """
    parts = store.shared
    if is_store(folder):
        raise StoreError(f"{folder} is a store already. Name a new folder.")
    if bases is not None and not 1 <= bases <= len(parts.scenes.base):
        raise StoreError(f"{store.folder} has {len(parts.scenes.base)} base planes: keep 1 to that many, not {bases}.")
    require_writable(folder)
    learnt = [store.file(name).load(name) for name in store]
    if learnt and len(parts.scenes.base):
        planes, change = orthonormal(parts.scenes.base, torch.stack([scene.weights for scene in learnt]))
        planes, change = planes[:bases], change[:, :bases]
        parts = _with_planes(parts, planes, change)
        learnt = [replace(scene, weights=scene.weights @ change) for scene in learnt]
    write_shared_parts(folder, parts, store.manifest.camera, store.manifest.about)
    lighter = Store(folder)
    for i in range(0, len(learnt), TOGETHER):
        lighter.add(learnt[i : i + TOGETHER], precision)
    return lighter


def _with_planes(parts: SharedParts, planes: Tensor, change: Tensor) -> SharedParts:
    triplane = replace(parts.config.triplane, bases=len(planes))
    scenes = LatentScenes(1, parts.scenes.channels, triplane).requires_grad_(False)
    scenes.hidden, scenes.head, scenes.box = parts.scenes.hidden, parts.scenes.head, parts.scenes.box
    scenes.base.copy_(planes)
    config = replace(parts.config, triplane=triplane)
    return replace(parts, config=config, scenes=scenes, weights=parts.weights @ change)
