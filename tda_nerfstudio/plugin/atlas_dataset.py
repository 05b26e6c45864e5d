"""One scene's views in the form that nerfstudio's viewer and renderers expect."""

from __future__ import annotations

import numpy as np
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.data.datasets.base_dataset import InputDataset
from numpy.typing import NDArray

from tda_nerfstudio.atlas.images import read_image
from tda_nerfstudio.atlas.posed import PosedImages


class AtlasDataset(InputDataset):
    """Read a scene's images as training does: on white, masked, undistorted, at the atlas' size."""

    def __init__(self, dataparser_outputs: DataparserOutputs, images: PosedImages, scale_factor: float = 1.0) -> None:
        super().__init__(dataparser_outputs, scale_factor)
        self.pictures = images.pictures

    def get_numpy_image(self, image_idx: int) -> NDArray[np.uint8]:
        """Read an image, (height, width, 3) bytes. Raises TdaError naming a file that cannot be read."""
        camera = self.cameras[image_idx]
        return read_image(self.pictures[image_idx], int(camera.width), int(camera.height)).numpy()
