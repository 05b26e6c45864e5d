"""Pictures inside a page."""

from __future__ import annotations

import base64
import io

import numpy as np
import torch
from PIL import Image

from tda_nerfstudio.studies.report.run_pictures import data_uri


def decode(uri: str) -> tuple[str, np.ndarray]:
    head, content = uri.split(",")
    return head, np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_latents_are_kept_exactly_and_images_nearly() -> None:
    image = torch.linspace(0, 1, 64).expand(3, 48, 64)
    head, pixels = decode(data_uri(image[..., ::4], exact=True))
    assert head == "data:image/png;base64" and pixels.shape == (48, 16, 3)
    np.testing.assert_array_equal(pixels[0, :, 0], (image[0, 0, ::4] * 255).round().numpy())
    head, pixels = decode(data_uri(image))
    assert head == "data:image/jpeg;base64" and pixels.shape == (48, 64, 3)
    assert np.abs(pixels[0, :, 0] - (image[0, 0] * 255).numpy()).max() < 6
