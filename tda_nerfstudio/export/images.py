"""`tda export images`: decoded views of a scene with their cameras, for whatever learns from images."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.base.checks import require_between
from tda_nerfstudio.export.made import WORLD, Made, header
from tda_nerfstudio.export.subject import Subject
from tda_nerfstudio.export.survey import cameras_around, survey
from tda_nerfstudio.looking.colouring import with_alpha


@dataclass(frozen=True)
class ImageOptions:
    """How many views, of which size."""

    count: int = 60
    size: int | None = None
    """Width in pixels; by default that of the training images."""

    def check(self) -> None:
        """Raise TdaError for what cannot be made."""
        require_between("count", self.count, 1, 10_000)
        if self.size is not None:
            require_between("size", self.size, 8, 4096)

    def names(self, scene: str) -> list[str]:
        """Name the folder of a scene."""
        return [scene]


def make_images(subject: Subject, options: ImageOptions) -> Made:
    """Render views from all around as PNG with alpha, and write their cameras as nerfstudio's transforms.json."""
    camera = subject.camera
    view = cameras_around(camera, subject.box.mean(0).cpu(), options.count)
    width = options.size or camera.width
    view = view.resized(width, max(round(camera.height * width / camera.width), 1))
    files, frames = {}, []
    for i in range(len(view)):
        seen = survey(subject.scene, view[i : i + 1], subject.sampling, camera.focal)
        path = f"images/{i:04d}.png"
        files[f"{subject.name}/{path}"] = _png(seen.rgb[0], seen.opacity[0])
        matrix = [*view.c2w[i].tolist(), [0.0, 0.0, 0.0, 1.0]]
        frames.append({"file_path": path, "transform_matrix": matrix})
    one = {
        name: float(part[0]) for name, part in (("fl_x", view.fx), ("fl_y", view.fy), ("cx", view.cx), ("cy", view.cy))
    }
    about = {"camera_model": "PINHOLE", "w": view.width, "h": view.height} | one
    about |= {"applied_transform": np.eye(4)[:3].tolist(), "frames": frames}
    about |= {"comment": " ".join(header(subject.name, WORLD))}
    files[f"{subject.name}/transforms.json"] = json.dumps(about, indent=1).encode()
    return Made(files, {"images": options.count})


def _png(image: Float[Tensor, "3 height width"], opacity: Float[Tensor, "1 height width"]) -> bytes:
    """Write an image on white with straight alpha."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(with_alpha(image.cpu(), opacity.cpu()), "RGBA").save(content, "PNG")
    return content.getvalue()
