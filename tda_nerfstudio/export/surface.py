"""The surface of a scene: a closed mesh, from what rays of many views see of its density."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_max_pool3d

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.showing import OneScene
from tda_nerfstudio.export.survey import Survey, sampled

if TYPE_CHECKING:
    from trimesh import Trimesh

SIDE = 128
"""Cells along each side of the grid, unless another number is asked for."""
REACH = 1 / 30
"""Depths tell distances up to this share of the box' longest side in front of a surface, and as far behind it."""
LEVEL = 0.05
"""Signed distance, in REACH, that is taken for the surface: learnt ones are soft, and their depths a little deep."""
CRUMB = 0.01
"""Parts of less than this share of the largest part's area are left out."""


def find_surface(scene: OneScene, views: Survey, side: int) -> Trimesh:
    """Find a closed surface around what views see: marching cubes over side^3 cells of the box, in the world frame.

    The cells hold signed distances: of each view, the depth of what it sees less the distance of the cell, averaged
    over the views for which the cell is not far behind (TSDF fusion). What no view sees is inside, so that there are
    no walls within. Faces are counter-clockwise seen from outside. Raises TdaError for a scene without a surface.
    """
    import trimesh
    from skimage.measure import marching_cubes

    distances = signed_distances(scene, views, side).cpu().numpy()
    if not (distances < LEVEL).any():
        raise TdaError("It has no surface: its views show nothing solid. Learn it longer, or leave it out.")
    volume = np.pad(distances, 1, constant_values=1.0)  # closed at the sides of the box
    vertices, faces, _, _ = marching_cubes(volume, LEVEL, allow_degenerate=False)
    low, high = scene[0].box.double().cpu().numpy()
    vertices = low + (vertices - 0.5) / side * (high - low)
    whole = trimesh.Trimesh(vertices, faces, process=False)
    return _without_crumbs(whole)


@torch.no_grad()
def signed_distances(scene: OneScene, views: Survey, side: int) -> Float[Tensor, "side side side"]:
    """Fuse the depths of views: distances to the surface in REACH, cut to [-1, 1], negative inside; [x, y, z].

    Cells that are not occupied are outside.
    """
    table, planes, occupied, _ = scene
    there = adaptive_max_pool3d(occupied.float(), side)[0] > 0
    index = there.nonzero()
    size = table.box[1] - table.box[0]
    points = table.box[0] + (index + 0.5) / side * size
    reach = size.amax() * REACH
    total, count = planes.new_zeros(len(points)), planes.new_zeros(len(points))
    for row in range(len(views)):
        place, distance = views.places(row, points)
        depth = sampled(views.depth[row], place, "nearest")[0]
        opacity = sampled(views.opacity[row], place, "bilinear")[0]
        ahead = torch.where(depth > 0, (depth - distance) / reach, 1 - 2 * opacity)  # beside a silhouette it is free
        known = (place.abs() < 1).all(1) & (ahead > -1)
        total += torch.where(known, ahead.clamp(max=1.0), 0.0)
        count += known
    found = planes.new_ones(side, side, side)
    found[there] = torch.where(count > 0, total / count.clamp(min=1), -1.0)
    return found


def _without_crumbs(mesh: Trimesh) -> Trimesh:
    """Leave out the parts that are much smaller than the largest."""
    from trimesh.graph import connected_component_labels

    part = connected_component_labels(mesh.face_adjacency, node_count=len(mesh.faces))
    areas = np.bincount(part, mesh.area_faces)
    mesh.update_faces(areas[part] >= CRUMB * areas.max())
    mesh.remove_unreferenced_vertices()
    return mesh
