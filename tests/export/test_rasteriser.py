"""The rasteriser against gsplat's own projection, a loop over pixels and splats, and gsplat itself on CUDA."""

from __future__ import annotations

import math

import pytest
import torch
from gsplat.cuda._torch_impl import _fully_fused_projection, _quat_scale_to_covar_preci
from torch import Tensor

from tda_nerfstudio.core.view import View
from tda_nerfstudio.export.splats.gaussians import Splats, colours_seen
from tda_nerfstudio.export.splats.rasteriser import BLUR, FAINTEST, LAST, MOST, project, rasterise

HEIGHT, WIDTH = 18, 25


def some_splats(count: int = 40, degree: int = 1, seed: int = 0, dtype: torch.dtype = torch.float64) -> Splats:
    """Splats of all shapes around the origin; some are faint, some opaque, some behind the camera."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype)

    means = draw(count, 3) * 0.4
    means[0] = torch.tensor([3.0, 2.0, 1.5])  # beside the camera
    means[1] = torch.tensor([9.0, 6.0, 3.0])  # behind it
    return Splats(
        means, draw(count, 3) * 0.5 - 2.6, draw(count, 4), draw(count) * 3, draw(count, (degree + 1) ** 2, 3) * 0.4
    )


def camera(dtype: torch.dtype = torch.float64) -> View:
    """One camera whose principal point is not in the middle."""
    view = View.look_at((2.2, 1.4, 0.9), size=(WIDTH, HEIGHT), focal=28.0)
    view = View.of(view.c2w, 28.0, 31.0, 11.0, 10.0, WIDTH, HEIGHT)
    view = View(*(part.to(dtype) for part in view), width=WIDTH, height=HEIGHT)
    u, _, v = torch.linalg.svd(view.c2w[:, :, :3])
    view.c2w[:, :, :3] = u @ v  # as orthogonal as numbers of this type can be
    return view


def matrices(view: View) -> tuple[Tensor, Tensor]:
    """World to camera in OpenCV's axes, and intrinsics."""
    c2w = torch.eye(4, dtype=view.c2w.dtype)
    c2w[:3] = view.c2w[0] * torch.tensor([1.0, -1.0, -1.0, 1.0])
    intrinsics = torch.eye(3, dtype=view.c2w.dtype)
    intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2] = (part[0] for part in tuple(view)[1:])
    return torch.linalg.inv(c2w), intrinsics


def by_hand(splats: Splats, view: View, tile: int, antialiased: bool = False) -> tuple[Tensor, Tensor]:
    """Blend splats pixel by pixel, one after the other."""
    flat = project(splats, view, HEIGHT, WIDTH)
    directions = torch.nn.functional.normalize(splats.means[flat.index] - view.c2w[0, :, 3], dim=-1)
    colours = colours_seen(splats.harmonics[flat.index], directions)
    opacities = torch.sigmoid(splats.logits[flat.index]) * (flat.dimming if antialiased else 1)
    rows = []
    for y in range(HEIGHT):
        for x in range(WIDTH):
            left, colour, cover = 1.0, torch.zeros(3, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
            corner = torch.tensor([x // tile, y // tile]) * tile
            for i in range(len(flat.index)):
                low, high = flat.centres[i] - flat.radii[i], flat.centres[i] + flat.radii[i]
                low, high = (low / tile).floor() * tile, (high / tile).ceil() * tile
                if not ((low <= corner) & (corner < high)).all():
                    continue
                offset = torch.tensor([x + 0.5, y + 0.5]) - flat.centres[i]
                a, b, c = flat.conics[i]
                power = (a * offset[0] ** 2 + c * offset[1] ** 2) / 2 + b * offset[0] * offset[1]
                alpha = (opacities[i] * torch.exp(-power)).clamp(max=MOST)
                if alpha < FAINTEST:
                    continue
                if left * (1 - alpha) <= LAST:
                    break
                colour, cover, left = colour + left * alpha * colours[i], cover + left * alpha, left * (1 - alpha)
            rows.append(torch.cat([colour, cover[None]]))
    image = torch.stack(rows).view(HEIGHT, WIDTH, 4).permute(2, 0, 1)
    return image[:3], image[3:]


def test_projection_is_gsplats_with_its_gradients() -> None:
    ours, theirs = some_splats(), some_splats()
    for splats in (ours, theirs):
        for tensor in splats.tensors().values():
            tensor.requires_grad_()
    view = camera()
    flat = project(ours, view, HEIGHT, WIDTH)
    covariance, _ = _quat_scale_to_covar_preci(theirs.quats, theirs.log_scales.exp(), True, False)
    world_to_camera, intrinsics = matrices(view)
    radii, centres, depths, conics, dimming = _fully_fused_projection(
        theirs.means, covariance, world_to_camera[None], intrinsics[None], WIDTH, HEIGHT, calc_compensations=True
    )
    seen = (radii[0] > 0).nonzero()[:, 0]
    seen = seen[depths[0, seen].argsort()]
    assert 10 < len(seen) < 39
    assert flat.index.tolist() == seen.tolist()
    torch.testing.assert_close(flat.radii, radii[0, seen].double())
    torch.testing.assert_close(flat.centres, centres[0, seen])
    torch.testing.assert_close(flat.conics, conics[0, seen])
    torch.testing.assert_close(flat.dimming, dimming[0, seen], atol=1e-6, rtol=1e-4)
    ((flat.centres**2).sum() + flat.conics.sum()).backward()
    ((centres[0, seen] ** 2).sum() + conics[0, seen].sum()).backward()
    for name in ("means", "log_scales", "quats"):
        torch.testing.assert_close(getattr(ours, name).grad, getattr(theirs, name).grad)


@pytest.mark.parametrize(("tile", "antialiased"), [(8, True), (16, False)])
def test_blending_is_that_of_a_loop_with_its_gradients(tile: int, antialiased: bool) -> None:
    ours, theirs = some_splats(), some_splats()
    weights = torch.randn(4, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    for splats, images in (
        (ours, lambda s: rasterise(s, camera(), HEIGHT, WIDTH, tile=tile, antialiased=antialiased)),
        (theirs, lambda s: by_hand(s, camera(), tile, antialiased)),
    ):
        for tensor in splats.tensors().values():
            tensor.requires_grad_()
        drawn = torch.cat(images(splats))
        splats.means.drawn = drawn.detach()
        (drawn * weights).sum().backward()
    torch.testing.assert_close(ours.means.drawn, theirs.means.drawn)
    assert 0.05 < float(ours.means.drawn[3].mean()) < 0.95
    for name, tensor in ours.tensors().items():
        torch.testing.assert_close(tensor.grad, getattr(theirs, name).grad)
        assert float(tensor.grad.abs().max()) > 1e-3, name


def test_a_round_splat_is_a_gaussian_of_its_size_where_it_is() -> None:
    half = torch.zeros(1, dtype=torch.float64)  # opacity 0.5
    eye = torch.tensor([[0.0, 0.0, 0.0]], dtype=torch.float64)
    splats = Splats(eye, torch.full((1, 3), math.log(0.1)).double(), torch.eye(4)[:1].double(), half, eye[:, None])
    view = View.look_at((0.0, -2.0, 0.0), size=31, focal=60.0)
    view = View(*(part.double() for part in view), width=31, height=31)
    colour, opacity = rasterise(splats, view, 31, 31, tile=31)
    variance = (0.1 * 60 / 2) ** 2 + BLUR
    assert float(opacity[0, 15, 15]) == pytest.approx(0.5)
    assert float(opacity[0, 15, 20]) == pytest.approx(0.5 * math.exp(-25 / 2 / variance), rel=1e-3)
    torch.testing.assert_close(colour, 0.5 * opacity.expand(3, -1, -1))


def test_nothing_in_sight_is_an_empty_image() -> None:
    splats = some_splats()
    away = Splats(**(splats.tensors() | {"means": splats.means + 100}))
    colour, opacity = rasterise(away, camera(), HEIGHT, WIDTH)
    assert colour.shape == (3, HEIGHT, WIDTH)
    assert not colour.any() and not opacity.any()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("antialiased", [False, True])
def test_gsplat_on_cuda_is_the_same_with_its_gradients(antialiased: bool) -> None:
    from tda_nerfstudio.export.splats.on_gsplat import rasterise_on_cuda

    found = []
    for draw, device in ((rasterise, "cpu"), (rasterise_on_cuda, "cuda")):
        on_cpu = some_splats(300, 2, dtype=torch.float32)
        splats = Splats(**{name: tensor.to(device) for name, tensor in on_cpu.tensors().items()})
        leaves = {name: tensor.requires_grad_() for name, tensor in splats.tensors().items()}
        more = {"tile": 16} if draw is rasterise else {}
        image = torch.cat(
            draw(splats, camera(torch.float32).to(device), HEIGHT, WIDTH, antialiased=antialiased, **more)
        )
        image.square().sum().backward()
        found.append([image.detach().cpu(), *(leaf.grad.cpu() for leaf in leaves.values())])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=1e-2)
