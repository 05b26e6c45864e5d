"""Take pictures of a run's scenes from its checkpoint, as data URIs for a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection
from pathlib import Path

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from tda_nerfstudio.looking.colouring import picture
from tda_nerfstudio.plugin.open_run import open_run
from tda_nerfstudio.studies.held_out import held_out
from tda_nerfstudio.studies.report.figures import ScenePictures


def take_pictures(run: Path, scenes: Collection[str]) -> dict[str, ScenePictures]:
    """Open a run and take pictures of the middle held-out view of the named scenes.

    A run that is damaged or whose data are gone can raise any error.
    """
    kinds = {"truth": False, "encoded": True, "rendered": True, "decoded": False}
    return {
        name: ScenePictures(**{kind: data_uri(images[kind][0], exact) for kind, exact in kinds.items()})
        for name, images in held_out(open_run(run), scenes, lambda count: [count // 2])
    }


def data_uri(image: Float[Tensor, "3 height width"], exact: bool = False) -> str:
    """Encode an image in [0, 1] as a data URI: as a PNG if `exact`, else as a JPEG.

    Latents need PNG, since they are small and have hard edges.
    """
    file = io.BytesIO()
    kind, options = ("png", {}) if exact else ("jpeg", {"quality": 90, "subsampling": 0})
    Image.fromarray(picture(image)).save(file, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
