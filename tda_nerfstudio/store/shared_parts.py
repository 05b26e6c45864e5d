"""What all scenes of a store share: base planes, MLP, autoencoder, box, and where new scenes start."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.autoencoder.build import build
from tda_nerfstudio.base.places import has_file
from tda_nerfstudio.core.scenes import LatentScenes
from tda_nerfstudio.store.manifest import MANIFEST, DefaultCamera, Manifest, SharedConfig
from tda_nerfstudio.store.safe_files import damage_named, write_whole

TENSORS, GROWTH = "shared.safetensors", "growth.safetensors"
OWN = ("micro", "weights", "occupied")
"""Tensors of LatentScenes that belong to the scenes; all others are shared."""
SHOWN = ("scenes.base", "scenes.hidden", "scenes.head", "scenes.box", "autoencoder.decoder")
SHOWN += ("autoencoder.latent_scale", "autoencoder.background")
"""Tensors that images depend on. The encoder and the start of new scenes are needed only to learn more scenes."""
EXACT = {"scenes.box", "autoencoder.latent_scale", "autoencoder.background", "weights"}
"""Tensors that are kept as they are; the others are rounded to float16."""


@dataclass(frozen=True)
class SharedParts:
    """The shared parts in float32, ready to render and to learn with."""

    config: SharedConfig
    scenes: LatentScenes
    """A table of one scene, into which the scene to show is put; its base planes, MLP and box are the shared ones."""
    autoencoder: Autoencoder
    weights: Float[Tensor, " base"]
    """Where the weights of new scenes start: the mean over the scenes that there were when the store was made."""
    occupied: Bool[Tensor, "G G G"]
    """Cells that any of those scenes filled, where new scenes are looked for first."""

    def to(self, device: torch.device) -> SharedParts:
        """Return a copy on a device, or itself if it is there already."""
        if self.scenes.box.device == device:
            return self
        return replace(self, scenes=deepcopy(self.scenes).to(device), autoencoder=deepcopy(self.autoencoder).to(device))


def is_store(folder: Path) -> bool:
    """Tell whether a folder is a store."""
    return has_file(folder / MANIFEST)


def write_shared_parts(folder: Path, parts: SharedParts, camera: DefaultCamera, about: Mapping[str, Any]) -> str:
    """Write a new store without scenes and return the hash of its shared parts (`Manifest.hash`).

    `about` is kept for the store's readers. Raises StoreError when the disk is full.
    """
    from safetensors.torch import save

    shown, growth = _split(parts)
    for name, tensors in ((TENSORS, shown), (GROWTH, growth)):
        content = save(tensors)
        write_whole(folder / name, len(content), lambda file, content=content: file.write(content))
    digest = _hash(_sizes(parts.config), shown)
    Manifest(digest, _hash({}, growth), parts.config, camera, dict(about)).write(folder)
    return digest


def shared_tensors(scenes: LatentScenes, autoencoder: Autoencoder) -> dict[str, Tensor]:
    """Name the tensors that scenes share, as a store does."""
    state = {f"autoencoder.{name}": tensor for name, tensor in autoencoder.state_dict().items()}
    return state | {f"scenes.{name}": tensor for name, tensor in scenes.state_dict().items() if name not in OWN}


def shared_hash(parts: SharedParts) -> str:
    """Compute the hash that a store of these parts would have."""
    return _hash(_sizes(parts.config), _split(parts)[0])


def read_shared_parts(folder: Path) -> SharedParts:
    """Read all that scenes share. Raises StoreError when anything is damaged or does not fit the manifest."""
    from safetensors.torch import load

    manifest, state = Manifest.read(folder), {}
    config = manifest.config
    for name, wanted in ((TENSORS, manifest.hash), (GROWTH, manifest.growth)):
        with damage_named(folder / name, "The shared parts"):
            kept = load((folder / name).read_bytes())
            found = _hash(_sizes(config) if name == TENSORS else {}, kept)
            if found != wanted:
                raise ValueError(f"the hash of them and their sizes is {found}, and {MANIFEST} says {wanted}")
            state |= {key: value.float() if value.is_floating_point() else value for key, value in kept.items()}
    with damage_named(folder / TENSORS, "The shared parts"):
        with torch.device("meta"):  # shapes alone: nothing is made that is larger than what the files hold
            _check_shapes(state, *build_parts(config))
        return assemble(config, state)


def assemble(config: SharedConfig, state: Mapping[str, Tensor]) -> SharedParts:
    """Put shared parts together from their tensors, named as in a store, with `weights` and `occupied`."""
    scenes, autoencoder = build_parts(config)
    nn.ModuleDict({"autoencoder": autoencoder, "scenes": scenes}).load_state_dict(state, strict=False)
    return SharedParts(config, scenes, autoencoder, state["weights"], state["occupied"].bool())


def _split(parts: SharedParts) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Collect the tensors that images depend on, and those that only new scenes need, both as they are kept."""
    state = shared_tensors(parts.scenes, parts.autoencoder)
    state |= {"weights": parts.weights, "occupied": parts.occupied}
    shown, growth = {}, {}
    for name, tensor in state.items():
        kept = tensor.half() if tensor.is_floating_point() and name not in EXACT else tensor
        (shown if name.startswith(SHOWN) else growth)[name] = kept.cpu().contiguous()
    return shown, growth


def build_parts(config: SharedConfig) -> tuple[LatentScenes, Autoencoder]:
    """Build the parts without their numbers, from configurations alone: no other file and no network is asked."""
    autoencoder = build(replace(config.autoencoder, start="scratch")).eval().requires_grad_(False)
    return LatentScenes(1, autoencoder.point_channels, config.triplane).requires_grad_(False), autoencoder


def _check_shapes(state: Mapping[str, Tensor], scenes: LatentScenes, autoencoder: Autoencoder) -> None:
    """Raise ValueError unless a store's tensors are the shared ones of these parts."""
    wanted = {name: tensor.shape for name, tensor in shared_tensors(scenes, autoencoder).items()}
    wanted |= {"weights": scenes.weights.shape[1:], "occupied": scenes.occupied.shape[1:]}
    found = {name: tensor.shape for name, tensor in state.items()}
    if other := sorted(name for name in wanted.keys() | found if wanted.get(name) != found.get(name)):
        raise ValueError(f"tensors are missing, unknown or of other shapes: {', '.join(other)[:200]}")


def _sizes(config: SharedConfig) -> dict[str, Any]:
    """Collect sizes for the hash. Stores that were made before there were starters have none in theirs."""
    sizes = asdict(config)
    if not config.triplane.starter:
        del sizes["triplane"]["starter"]
    return sizes


def _hash(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Hash a configuration and names, types, shapes and values of tensors, however a file lays them out."""
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
