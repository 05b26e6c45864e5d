"""Scene folders as cameras and pictures: one reader a file, in a list in `scene`."""

from tda_nerfstudio.atlas.layouts.scene import has_layout, looks_meant, read_scene
from tda_nerfstudio.atlas.posed import PosedImages, Scene

__all__ = ["PosedImages", "Scene", "has_layout", "looks_meant", "read_scene"]
