"""What all scenes of a store have in common: base planes, MLP, autoencoder, box, and where new scenes start."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tda_nerfstudio.autoencoder.architecture import check_architecture
from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.autoencoder.build import AutoencoderConfig, Kind, Start
from tda_nerfstudio.base.atomic import replace_file, write_text
from tda_nerfstudio.base.errors import StoreError
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.scenes import LatentScenes, TriPlaneConfig
from tda_nerfstudio.store.scene_files import damage_named, room_for

FORMAT = "tda store 1"
MANIFEST, TENSORS, GROWTH = "manifest.json", "shared.safetensors", "growth.safetensors"
OWN = {"micro", "weights", "occupied"}
"""Tensors of a table of scenes that belong to the scenes; all others are shared."""
SHOWN = ("scenes.base", "scenes.hidden", "scenes.head", "scenes.box", "autoencoder.decoder")
SHOWN += ("autoencoder.latent_scale", "autoencoder.background")
"""What images depend on; the encoder and where scenes start are only needed to learn more of them."""
EXACT = {"scenes.box", "autoencoder.latent_scale", "autoencoder.background", "weights"}
"""Tensors that stay as they are; the others are rounded to float16."""
LARGEST_MANIFEST = 1 << 20
LARGEST_SIDE = 4096
FRAME = "OpenGL cameras (x right, y up, looking along -z), camera-to-world, world units of the atlas"


@dataclass(frozen=True)
class Sizes:
    """All that must be known before tensors can be read, and how rays are sampled."""

    triplane: TriPlaneConfig
    autoencoder: AutoencoderConfig
    sampling: SamplingConfig


@dataclass(frozen=True)
class Shots:
    """How the images were taken that scenes were learnt from; only a default for how they are shown."""

    width: int
    """In pixels, like height and focal length."""
    height: int
    focal: float
    distance: float
    """From the cameras to the middle of the box, in world units."""


@dataclass(frozen=True)
class SharedParts:
    """The parts themselves, in float32."""

    sizes: Sizes
    scenes: LatentScenes
    """A table of one scene, which holds whatever scene is shown; base planes, MLP and box are the store's."""
    autoencoder: Autoencoder
    weights: Float[Tensor, " base"]
    """Mean of the scenes' weights when the store was made: where new scenes start."""
    occupied: Bool[Tensor, "G G G"]
    """All the space that those scenes filled."""

    def to(self, device: torch.device) -> SharedParts:
        """Give what renders on a device: a copy, or itself where it is there already."""
        if self.scenes.box.device == device:
            return self
        return replace(self, scenes=deepcopy(self.scenes).to(device), autoencoder=deepcopy(self.autoencoder).to(device))


@dataclass(frozen=True)
class Manifest:
    """What a store says about itself, before anything is read."""

    hash: str
    """Of sizes and of all tensors that images depend on: scenes name the shared parts by it."""
    growth: str
    """Of the tensors that only new scenes need."""
    sizes: Sizes
    shots: Shots
    about: dict[str, Any]


def is_store(folder: Path) -> bool:
    """Tell whether a store is there already."""
    return (folder / MANIFEST).is_file()


def write_shared_parts(folder: Path, parts: SharedParts, shots: Shots, about: Mapping[str, Any]) -> str:
    """Write a new store without scenes and return its hash: of sizes and of all tensors that images depend on.

    What is `about` the store is kept for its readers.
    """
    from safetensors.torch import save

    shown, learnt_with = _split(parts)
    for name, tensors in ((TENSORS, shown), (GROWTH, learnt_with)):
        content = save(tensors)
        with room_for(len(content), folder):
            replace_file(folder / name, lambda file, content=content: file.write(content))
    digest, growth, sizes = _hash(asdict(parts.sizes), shown), _hash({}, learnt_with), asdict(parts.sizes)
    manifest = {"format": FORMAT, "shared": digest, "growth": growth, "frame": FRAME, "sizes": sizes}
    manifest |= {"shots": asdict(shots), "about": dict(about)}
    write_text(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    return digest


def shared_tensors(scenes: LatentScenes, autoencoder: Autoencoder) -> dict[str, Tensor]:
    """Name the tensors that scenes share, as a store does."""
    state = {f"autoencoder.{name}": tensor for name, tensor in autoencoder.state_dict().items()}
    return state | {f"scenes.{name}": tensor for name, tensor in scenes.state_dict().items() if name not in OWN}


def shared_hash(parts: SharedParts) -> str:
    """Compute the hash that a store of these parts would have."""
    return _hash(asdict(parts.sizes), _split(parts)[0])


def _split(parts: SharedParts) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Tell what images depend on from what only new scenes need, both rounded as they are kept."""
    state = shared_tensors(parts.scenes, parts.autoencoder)
    shown = {name: tensor for name, tensor in state.items() if name.startswith(SHOWN)}
    learnt_with = {name: tensor for name, tensor in state.items() if name not in shown}
    return _rounded(shown), _rounded(learnt_with | {"weights": parts.weights, "occupied": parts.occupied})


def _rounded(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Round to float16 what may be."""
    return {
        name: (tensor.half() if tensor.is_floating_point() and name not in EXACT else tensor).cpu().contiguous()
        for name, tensor in tensors.items()
    }


def read_manifest(folder: Path) -> Manifest:
    """Read what a store says about itself.

    Raises StoreError for a folder that is no store, and for a manifest that is damaged or names impossible sizes.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise StoreError(f"{folder} is no store: it has no {MANIFEST}. Give the folder that tda-scenes wrote.")
    with damage_named(path, "The manifest"):
        if path.stat().st_size > LARGEST_MANIFEST:
            raise ValueError(f"it has {path.stat().st_size} bytes, more than {LARGEST_MANIFEST}")
        content = json.loads(path.read_text())
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {str(content['format'])[:40]!r}, not {FORMAT!r}")
        kinds = {"triplane": TriPlaneConfig, "autoencoder": AutoencoderConfig, "sampling": SamplingConfig}
        sizes = Sizes(**{key: kinds[key](**given) for key, given in content["sizes"].items()})
        shots, about = Shots(**content["shots"]), content["about"]
        _check(sizes, shots)
        if not (isinstance(content["shared"], str) and isinstance(content["growth"], str) and isinstance(about, dict)):
            raise ValueError("its hashes are no texts, or what it tells is no set of keys")
    return Manifest(content["shared"], content["growth"], sizes, shots, about)


def read_shared_parts(folder: Path) -> SharedParts:
    """Read all that scenes share. Raises StoreError when anything is damaged or does not fit the manifest."""
    from safetensors.torch import load_file

    manifest, state = read_manifest(folder), {}
    sizes = manifest.sizes
    for name, wanted in ((TENSORS, manifest.hash), (GROWTH, manifest.growth)):
        with damage_named(folder / name, "The shared parts"):
            kept = load_file(folder / name)
            found = _hash(asdict(sizes) if name == TENSORS else {}, kept)
            if found != wanted:
                raise ValueError(f"the hash of them and their sizes is {found}, and {MANIFEST} says {wanted}")
            state |= {key: value.float() if value.is_floating_point() else value for key, value in kept.items()}
    with damage_named(folder / TENSORS, "The shared parts"):
        with torch.device("meta"):  # shapes alone: nothing is made that is larger than what the files hold
            _check_shapes(state, *build(sizes))
        return assemble(sizes, state)


def assemble(sizes: Sizes, state: Mapping[str, Tensor]) -> SharedParts:
    """Put shared parts together from their tensors, named as in a store, with `weights` and `occupied`."""
    scenes, autoencoder = build(sizes)
    autoencoder.load_state_dict(_below(state, "autoencoder."))
    scenes.load_state_dict(_below(state, "scenes."), strict=False)
    return SharedParts(sizes, scenes, autoencoder, state["weights"], state["occupied"].bool())


def build(sizes: Sizes) -> tuple[LatentScenes, Autoencoder]:
    """Build the parts without their numbers, from sizes alone: no other file and no network is asked."""
    autoencoder = replace(sizes.autoencoder, start="scratch").build().eval().requires_grad_(False)
    return LatentScenes(1, autoencoder.point_channels, sizes.triplane).requires_grad_(False), autoencoder


def _check_shapes(state: Mapping[str, Tensor], scenes: LatentScenes, autoencoder: Autoencoder) -> None:
    """Raise ValueError unless a store's tensors are the shared ones of these parts."""
    wanted = {name: tensor.shape for name, tensor in shared_tensors(scenes, autoencoder).items()}
    wanted |= {"weights": scenes.weights.shape[1:], "occupied": scenes.occupied.shape[1:]}
    found = {name: tensor.shape for name, tensor in state.items()}
    if other := sorted(name for name in wanted.keys() | found if wanted.get(name) != found.get(name)):
        raise ValueError(f"tensors are missing, unknown or of other shapes: {', '.join(other)[:200]}")


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _hash(sizes: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Hash sizes, and names, types, shapes and values of tensors, however a file lays them out."""
    digest = hashlib.sha256(json.dumps(sizes, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def _check(sizes: Sizes, shots: Shots) -> None:
    """Raise ValueError for sizes that no store has, before anything of such a size is made."""
    t, a, s = sizes.triplane, sizes.autoencoder, sizes.sampling
    bounds = {
        "resolution": (t.resolution, 2, 1024),
        "micro_channels": (t.micro_channels, 0, 256),
        "macro_channels": (t.macro_channels, 0, 256),
        "bases": (t.bases, 0, 4096),
        "hidden": (t.hidden, 1, 1024),
        "grid": (t.grid, 1, 256),
        "f": (a.f, 1, 64),
        "channels": (a.channels, 1, 1024),
        "width of the autoencoder": (a.width, 1, 1024),
        "blocks": (a.blocks, 0, 64),
        "coarse": (s.coarse, 1, 1024),
        "fine": (s.fine, 1, 1024),
        "side": (s.side or 1, 1, 64),
        "rays_per_chunk": (s.rays_per_chunk, 1, 1 << 24),
        "width": (shots.width, 1, LARGEST_SIDE),
        "height": (shots.height, 1, LARGEST_SIDE),
    }
    for name, (value, low, high) in bounds.items():
        if not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{name} is {str(value)[:40]}, not from {low} to {high}")
    for name, length in (("focal", shots.focal), ("distance", shots.distance)):
        if not isinstance(length, float | int) or not 0 < length < 1e9:
            raise ValueError(f"{name} is {str(length)[:40]}, not from 0 to 1e9")
    if a.source is not None or a.revision is not None:
        raise ValueError(
            f"it names a source of its autoencoder ({str(a.source or a.revision)[:80]!r}), which is not followed: a"
            " store holds all that it needs"
        )
    if a.kind not in get_args(Kind) or a.start not in get_args(Start):
        raise ValueError(f"its autoencoder is of the kind {str(a.kind)[:40]!r} from {str(a.start)[:40]!r}")
    if a.kind in ("kl", "tiny"):
        check_architecture(a.kind, a.architecture)
    elif a.architecture is not None:
        raise ValueError(f"its autoencoder of kind {a.kind} has an architecture")
    floats = max(t.bases, 1) * 3 * t.resolution**2 * max(t.macro_channels, t.micro_channels, 1)
    if torch.iinfo(torch.int32).max < floats:
        raise ValueError(f"its planes would have {floats} numbers")
