"""Gaussian splats: what one scene of them is made of."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

C0 = 0.28209479177387814
"""The spherical harmonic of degree 0."""


@dataclass(frozen=True, eq=False)
class Splats:
    """N anisotropic Gaussians in the world frame, as they are trained and as files hold them."""

    means: Float[Tensor, "splat 3"]
    """World units."""
    log_scales: Float[Tensor, "splat 3"]
    """Natural logarithms of the standard deviations along the own axes, in world units."""
    quats: Float[Tensor, "splat 4"]
    """Own axes to world as w, x, y, z, of any length."""
    logits: Float[Tensor, " splat"]
    """Opacity is their sigmoid."""
    harmonics: Float[Tensor, "splat K 3"]
    """K = (degree + 1)^2 coefficients of each colour channel; 0.5 is added to what they give."""

    def __len__(self) -> int:
        return len(self.means)

    @property
    def degree(self) -> int:
        """Degree of the spherical harmonics."""
        return {1: 0, 4: 1, 9: 2, 16: 3}[self.harmonics.shape[1]]

    def tensors(self) -> dict[str, Tensor]:
        """Name all tensors."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __getitem__(self, chosen: Tensor) -> Splats:
        """Select splats."""
        return Splats(**{name: tensor[chosen] for name, tensor in self.tensors().items()})


def rotations(quats: Float[Tensor, "splat 4"]) -> Float[Tensor, "splat 3 3"]:
    """Turn quaternions (w, x, y, z) of any length into rotation matrices."""
    w, x, y, z = normalize(quats, dim=-1).unbind(-1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, -1).view(-1, 3, 3)


def quaternions_along(normals: Float[Tensor, "splat 3"]) -> Float[Tensor, "splat 4"]:
    """Find the shortest rotations that turn the z axis to unit vectors, as w, x, y, z."""
    x, y, z = normals.unbind(-1)
    zero = torch.zeros_like(x)
    turned = torch.stack([1 + z, -y, x, zero], -1)
    upside_down = normals.new_tensor([0.0, 1.0, 0.0, 0.0])
    return normalize(torch.where((z > -0.9999)[:, None], turned, upside_down), dim=-1)


def colours_seen(
    harmonics: Float[Tensor, "splat K 3"], directions: Float[Tensor, "splat 3"]
) -> Float[Tensor, "splat 3"]:
    """Evaluate colours for directions from the camera to each splat (unit vectors); not below 0, as gsplat does."""
    count = harmonics.shape[1]
    basis = [torch.full_like(directions[:, 0], C0)]
    x, y, z = directions.unbind(-1)
    if count > 1:
        c1 = 0.4886025119029199
        basis += [-c1 * y, c1 * z, -c1 * x]
    if count > 4:
        c2 = 1.0925484305920792
        basis += [c2 * x * y, -c2 * y * z, 0.31539156525252005 * (3 * z * z - 1)]
        basis += [-c2 * x * z, c2 / 2 * (x * x - y * y)]
    return (torch.einsum("nk,nkc->nc", torch.stack(basis, -1), harmonics) + 0.5).clamp(min=0)
