"""Meshes with fewer faces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from trimesh import Trimesh

SMOOTHING = 3
"""Rounds of Taubin's smoothing, which takes the steps of the grid away and keeps the volume."""


def simplified(surface: Trimesh, faces: int) -> Trimesh:
    """Smooth a surface and collapse edges until it has about so many faces; a closed one stays closed."""
    import pymeshlab
    import trimesh

    meshes = pymeshlab.MeshSet(verbose=False)  # pyright: ignore[reportAttributeAccessIssue]
    given = np.asarray(surface.vertices), np.asarray(surface.faces)
    meshes.add_mesh(pymeshlab.Mesh(*given))  # pyright: ignore[reportAttributeAccessIssue]
    meshes.apply_coord_taubin_smoothing(stepsmoothnum=SMOOTHING)
    if len(surface.faces) > faces:
        meshes.meshing_decimation_quadric_edge_collapse(
            targetfacenum=faces, preservetopology=True, preservenormal=True, planarquadric=True
        )
    made = meshes.current_mesh()
    return trimesh.Trimesh(made.vertex_matrix(), made.face_matrix(), process=False)
