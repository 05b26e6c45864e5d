"""Parts of splats against gsplat's own plain functions and by hand."""

from __future__ import annotations

import pytest
import torch
from gsplat.cuda._torch_impl import _quat_to_rotmat, _spherical_harmonics

from tda_nerfstudio.export.splats.gaussians import C0, Splats, colours_seen, quaternions_along, rotations


def test_rotations_are_gsplats() -> None:
    quats = torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    torch.testing.assert_close(rotations(quats), _quat_to_rotmat(quats))


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_harmonics_are_gsplats(degree: int) -> None:
    generator = torch.Generator().manual_seed(1)
    harmonics = torch.randn(30, (degree + 1) ** 2, 3, generator=generator, dtype=torch.float64)
    directions = torch.nn.functional.normalize(torch.randn(30, 3, generator=generator, dtype=torch.float64), dim=-1)
    wanted = (_spherical_harmonics(degree, directions, harmonics) + 0.5).clamp(min=0)
    torch.testing.assert_close(colours_seen(harmonics, directions), wanted, atol=1e-6, rtol=1e-6)
    assert Splats(directions, directions, torch.zeros(30, 4), torch.zeros(30), harmonics).degree == degree


def test_a_colour_of_degree_0_is_that_from_everywhere() -> None:
    harmonics = (torch.tensor([[[0.2, 0.6, 1.0]]]) - 0.5) / C0
    torch.testing.assert_close(
        colours_seen(harmonics, torch.tensor([[0.0, 0.6, 0.8]])), torch.tensor([[0.2, 0.6, 1.0]])
    )


def test_discs_are_turned_along_normals() -> None:
    normals = torch.nn.functional.normalize(torch.randn(50, 3, generator=torch.Generator().manual_seed(2)), dim=-1)
    normals = torch.cat([normals, torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])])
    turned = rotations(quaternions_along(normals))
    torch.testing.assert_close(turned[:, :, 2], normals, atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.linalg.det(turned), torch.ones(52))
