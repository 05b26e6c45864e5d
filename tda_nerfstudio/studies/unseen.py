"""Test sets for autoencoders: images of classes and seeds that pre-training never draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from tda_nerfstudio.atlas.atlas import read_atlas
from tda_nerfstudio.atlas.background import on_white
from tda_nerfstudio.atlas.images import ImageStore
from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.base.atomic import replace_file
from tda_nerfstudio.base.progress import track
from tda_nerfstudio.core.metrics import psnr
from tda_nerfstudio.making.procedural.objects import random_camera, random_object
from tda_nerfstudio.making.procedural.pictures import picture
from tda_nerfstudio.making.procedural.sprites import SIZE
from tda_nerfstudio.making.procedural.vehicles import vehicle
from tda_nerfstudio.making.raycast import Raycaster, focal_length, square_camera
from tda_nerfstudio.making.writing import FIELD_OF_VIEW, camera_sphere

SEED = 2_000_003
"""Far from the seeds that pre-training is given."""
COUNT = 64
"""Images in a made set."""
BATCH = 32

Images = UInt8[Tensor, "image 3 height width"]


def demo_vehicle(index: int) -> UInt8[np.ndarray, "size size 3"]:
    """Render a vehicle of the demo's seed as its atlas does."""
    c2w = camera_sphere(1, (SEED, index, 0))[0]
    return on_white(Raycaster(vehicle(0, index)).render(square_camera(c2w, focal_length(FIELD_OF_VIEW, SIZE), SIZE)))


def _object(index: int, textured: float) -> UInt8[np.ndarray, "size size 3"]:
    rng = np.random.default_rng((SEED, int(textured), index))
    return on_white(random_object(rng, textured).render(square_camera(*random_camera(rng, SIZE), SIZE)))


MADE = {
    "demo vehicles": demo_vehicle,
    "objects": lambda index: _object(index, 0.0),
    "textured objects": lambda index: _object(index, 1.0),
    "pictures": lambda index: picture(np.random.default_rng((SEED, 2, index)), SIZE),
}


def unseen_sets(cache: Path, atlases: Sequence[Path] = ()) -> dict[str, Images]:
    """Return the made sets and the test views of atlases, by name. Made sets are rendered once and then cached."""
    sets = {}
    for name, draw in MADE.items():
        path = cache / f"unseen-1-{name.replace(' ', '-')}.npy"
        if not path.exists():
            images = np.stack([draw(i) for i in track(range(COUNT), f"Test set: {name}")])
            replace_file(path, lambda file, images=images: np.save(file, images))
        sets[name] = torch.from_numpy(np.load(path)).permute(0, 3, 1, 2)
    for root in atlases:
        atlas = read_atlas(root)
        pictures = [picture for scene in atlas.scenes for picture in scene.test.pictures]
        store = ImageStore(pictures, atlas.width, atlas.height)
        sets[atlas.root.name] = store.get(range(len(store))).permute(0, 3, 1, 2)
    return sets


@torch.no_grad()
def reconstruct_in_batches(model: Autoencoder, images: Images) -> tuple[Float[Tensor, "image 3 height width"], Tensor]:
    """Encode and decode images, a batch at a time. Returns the decoded images and the PSNR of each in dB."""
    device, shown, quality = model.latent_scale.device, [], []
    for part in images.split(BATCH):
        truth = part.to(device).float() / 255
        image = model.decode(model.encode(truth))[..., : truth.shape[-2], : truth.shape[-1]]
        shown.append(image.clamp(0, 1).cpu())
        quality.append(psnr(image, truth).cpu())
    return torch.cat(shown), torch.cat(quality)
