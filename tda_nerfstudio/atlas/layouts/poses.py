"""Read poses, and check that they are finite, rigid, and near enough to the origin for single precision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, Float64

from tda_nerfstudio.atlas.layouts.frames import Frame
from tda_nerfstudio.base.errors import TdaError

_RIGID = 1e-3  # largest error of R R^T - I that rounding in text files may cause
_PRECISE = 1e-4  # largest share of the cameras' spread by which float32 may move one
_APART = 1e-5  # cameras spread by less than this share of their distance count as standing in one place


def read_poses(frames: Sequence[Frame]) -> Float32[np.ndarray, "view 3 4"]:
    """Stack the poses after checking, in double precision, that each is finite and rigid and survives float32."""
    poses = np.stack([_pose(frame) for frame in frames])
    places = poses[:, :, 3]
    middle = places.mean(0)
    far, spread = np.linalg.norm(middle), np.linalg.norm(places - middle, axis=-1).max()
    lost = np.abs(places - places.astype(np.float32)).max()
    if lost > _PRECISE * (spread if spread > _APART * far else 1):
        shift = ", ".join(f"{value:.7g}" for value in middle)
        raise TdaError(
            f"{frames[0].source}: its cameras stand {far:.3g} from the origin and {spread:.2g} around their middle;"
            f" single precision would move them by {lost:.2g}. Subtract ({shift}) from the last column of every pose."
        )
    return poses.astype(np.float32)


def _pose(frame: Frame) -> Float64[np.ndarray, "3 4"]:
    where = f"{frame.source}: the pose of '{frame.name}'"
    try:
        matrix = np.array(frame.matrix, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        matrix = np.empty(0)
    if matrix.shape not in ((3, 4), (4, 4)):
        raise TdaError(f"{where} is not a 4 x 4 matrix of numbers.")
    if not np.isfinite(matrix).all():
        raise TdaError(f"{where} is not finite (NaN or infinity). Remove the frame or export it again.")
    if (error := _error(matrix)) > _RIGID:
        if matrix.shape == (4, 4) and _error(matrix.T) <= _RIGID:
            row = ", ".join(f"{value:.4g}" for value in matrix[3])
            raise TdaError(
                f"{where} looks transposed: its last row is ({row}), not (0, 0, 0, 1) as the last column. Transpose it."
            )
        raise TdaError(f"{where} is not rigid: it scales, shears or projects (by {error:.2g}). Export it unscaled.")
    if np.linalg.det(matrix[:3, :3]) < 0:
        raise TdaError(f"{where} is a reflection (determinant -1), not a rotation. Flip one of its axes.")
    return matrix[:3]


def _error(matrix: Float[np.ndarray, "row 4"]) -> float:
    """Measure how far a matrix is from a rotation and a shift."""
    rotation = matrix[:3, :3]
    row = np.abs(matrix[3:] - [0, 0, 0, 1]).max(initial=0)
    return max(float(np.abs(rotation @ rotation.T - np.eye(3)).max()), float(row))
