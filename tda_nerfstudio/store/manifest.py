"""manifest.json: what a store says about itself before any tensor is read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import torch

from tda_nerfstudio.autoencoder.architecture import check_architecture
from tda_nerfstudio.autoencoder.config import AutoencoderConfig, InitialWeights, Kind
from tda_nerfstudio.base.atomic import write_text
from tda_nerfstudio.base.errors import StoreError
from tda_nerfstudio.base.places import has_file
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.scenes import TriPlaneConfig
from tda_nerfstudio.store.safe_files import damage_named

FORMAT = "tda store 1"
MANIFEST = "manifest.json"
FRAME = "OpenGL cameras (x right, y up, looking along -z), camera-to-world, world units of the atlas"
LARGEST_MANIFEST = 1 << 20
"""Bytes."""
LARGEST_SIDE = 4096
"""Pixels."""


@dataclass(frozen=True)
class SharedConfig:
    """Configurations of the shared parts: what must be known before their tensors can be read."""

    triplane: TriPlaneConfig
    autoencoder: AutoencoderConfig
    sampling: SamplingConfig


@dataclass(frozen=True)
class DefaultCamera:
    """How scenes are shown unless a camera is given: as the training images were taken."""

    width: int
    """In pixels, like height and focal length."""
    height: int
    focal: float
    distance: float
    """From the camera to the middle of the box, in world units."""


@dataclass(frozen=True)
class Manifest:
    """The content of manifest.json. There, `config` is called "sizes", `camera` "shots" and `hash` "shared"."""

    hash: str
    """Of `config` and of all tensors that images depend on. Files of scenes name their shared parts by it."""
    growth: str
    """Hash of the tensors that only new scenes need."""
    config: SharedConfig
    camera: DefaultCamera
    about: dict[str, Any]
    """Where the store comes from, for its readers; nothing depends on it."""

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of a store.

        Raises StoreError for a folder that is no store, and for a manifest that is damaged or names impossible sizes.
        """
        path = folder / MANIFEST
        if not has_file(path):
            raise StoreError(f"{folder} is no store: it has no {MANIFEST}. Give the folder that tda-scenes wrote.")
        with damage_named(path, "The manifest"):
            if path.stat().st_size > LARGEST_MANIFEST:
                raise ValueError(f"it has {path.stat().st_size} bytes, more than {LARGEST_MANIFEST}")
            content = json.loads(path.read_text())
            if content["format"] != FORMAT:
                raise ValueError(f"its format is {str(content['format'])[:40]!r}, not {FORMAT!r}")
            kinds = {"triplane": TriPlaneConfig, "autoencoder": AutoencoderConfig, "sampling": SamplingConfig}
            config = SharedConfig(**{key: kinds[key](**given) for key, given in content["sizes"].items()})
            camera = DefaultCamera(**content["shots"])
            _check(config, camera)
            shared, growth, about = content["shared"], content["growth"], content["about"]
            if not (isinstance(shared, str) and isinstance(growth, str) and isinstance(about, dict)):
                raise ValueError("its hashes are not texts, or what is about it is no set of keys")
        return cls(shared, growth, config, camera, about)

    def write(self, folder: Path) -> None:
        """Write manifest.json, which makes the folder a store."""
        content = {"format": FORMAT, "shared": self.hash, "growth": self.growth, "frame": FRAME}
        content |= {"sizes": asdict(self.config), "shots": asdict(self.camera), "about": self.about}
        write_text(folder / MANIFEST, json.dumps(content, indent=1) + "\n")


def _check(config: SharedConfig, camera: DefaultCamera) -> None:
    """Raise ValueError for sizes that no store has, before anything of such a size is made."""
    t, a, s = config.triplane, config.autoencoder, config.sampling
    bounds = {
        "resolution": (t.resolution, 2, 1024),
        "micro_channels": (t.micro_channels, 0, 256),
        "macro_channels": (t.macro_channels, 0, 256),
        "bases": (t.bases, 0, 4096),
        "hidden": (t.hidden, 1, 1024),
        "grid": (t.grid, 1, 256),
        "starter": (t.starter, 0, 1024),
        "f": (a.f, 1, 64),
        "channels": (a.channels, 1, 1024),
        "width of the autoencoder": (a.width, 1, 1024),
        "blocks": (a.blocks, 0, 64),
        "coarse": (s.coarse, 1, 1024),
        "fine": (s.fine, 1, 1024),
        "side": (s.side or 1, 1, 64),
        "rays_per_chunk": (s.rays_per_chunk, 1, 1 << 24),
        "width": (camera.width, 1, LARGEST_SIDE),
        "height": (camera.height, 1, LARGEST_SIDE),
    }
    for name, (value, low, high) in bounds.items():
        if not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{name} is {str(value)[:40]}, not from {low} to {high}")
    for name, length in (("focal", camera.focal), ("distance", camera.distance)):
        if not isinstance(length, float | int) or not 0 < length < 1e9:
            raise ValueError(f"{name} is {str(length)[:40]}, not from 0 to 1e9")
    if a.source is not None or a.revision is not None:
        raise ValueError(
            f"it names a source of its autoencoder ({str(a.source or a.revision)[:80]!r}), which is not followed: a"
            " store holds all that it needs"
        )
    if a.kind not in get_args(Kind) or a.start not in get_args(InitialWeights):
        raise ValueError(f"its autoencoder is of the kind {str(a.kind)[:40]!r} from {str(a.start)[:40]!r}")
    if a.kind in ("kl", "tiny"):
        check_architecture(a.kind, a.architecture)
    elif a.architecture is not None:
        raise ValueError(f"its autoencoder of kind {a.kind} has an architecture")
    floats = max(t.bases, 1) * 3 * t.resolution**2 * max(t.macro_channels, t.micro_channels, 1)
    if torch.iinfo(torch.int32).max < floats:
        raise ValueError(f"its planes would have {floats} numbers")
