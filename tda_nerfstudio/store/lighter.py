"""The same scenes in fewer bytes: orthonormal base planes, the least used ones dropped, micro planes rounded."""

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
from tda_nerfstudio.store.scene_files import TOGETHER, LearntScene
from tda_nerfstudio.store.shared_parts import SharedParts, is_store, write_shared_parts
from tda_nerfstudio.store.store import Store


def orthonormal(
    base: Float[Tensor, "base 3 R R mac"], weights: Float[Tensor, "scene base"]
) -> tuple[Float[Tensor, "base 3 R R mac"], Float[Tensor, "base base"]]:
    """Give base planes that are orthogonal, of mean square 1, the one that scenes use most first.

    Also the matrix T by which weights become those of the new planes: (w T) . new = w . base. Directions that base
    planes do not span come last, as zeros.
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
    """Write a store's scenes into a new one with orthonormal base planes, only the first `bases` of them if given.

    Raises StoreError when there is a store already, or fewer base planes than asked for.
    """
    parts = store.shared
    if is_store(folder):
        raise StoreError(f"{folder} is a store already. Name a new folder.")
    if bases is not None and not 1 <= bases <= len(parts.scenes.base):
        raise StoreError(f"{store.folder} has {len(parts.scenes.base)} base planes: keep 1 to that many, not {bases}.")
    require_writable(folder)
    learnt = [store.file(name).load(name) for name in store]
    change = None
    if learnt and len(parts.scenes.base):
        planes, change = orthonormal(parts.scenes.base, torch.stack([scene.weights for scene in learnt]))
        planes, change = planes[:bases], change[:, :bases]
        parts = _with_planes(parts, planes, change)
    write_shared_parts(folder, parts, store.manifest.camera, store.manifest.about)
    lighter = Store(folder)
    for i in range(0, len(learnt), TOGETHER):
        scenes = learnt[i : i + TOGETHER]
        lighter.add([_changed(scene, change) for scene in scenes], precision)
    return lighter


def _changed(scene: LearntScene, change: Tensor | None) -> LearntScene:
    return scene if change is None else replace(scene, weights=scene.weights @ change)


def _with_planes(parts: SharedParts, planes: Tensor, change: Tensor) -> SharedParts:
    triplane = replace(parts.config.triplane, bases=len(planes))
    scenes = LatentScenes(1, parts.scenes.channels, triplane).requires_grad_(False)
    scenes.hidden, scenes.head, scenes.box = parts.scenes.hidden, parts.scenes.head, parts.scenes.box
    scenes.base.copy_(planes)
    config = replace(parts.config, triplane=triplane)
    return replace(parts, config=config, scenes=scenes, weights=parts.weights @ change)
