"""One rule for all images: the trained focal length, then enlarged, each camera by its own."""

from __future__ import annotations

import pytest
import torch
from ball import ball
from torch.nn.functional import interpolate, pixel_shuffle

from tda_nerfstudio.autoencoder.build import build
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.core import enlarging, showing
from tda_nerfstudio.core.cameras import View, orbit, pixel_centres, rays
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.scenes import LatentScenes, TriPlaneConfig
from tda_nerfstudio.core.showing import OUTPUTS, decode, march, show

FOCAL = 20.0
SAMPLING = SamplingConfig(6, 6)


def made(config: AutoencoderConfig) -> tuple:
    """Make a scene that shows something, and its autoencoder."""
    codec = build(config, 0).eval().requires_grad_(False)
    scenes = LatentScenes(1, codec.point_channels, TriPlaneConfig(6, 3, 2, 4, 5, grid=3), seed=1).requires_grad_(False)
    scenes.head.bias[0] = 3.0
    scenes.micro.mul_(10)
    return scenes, scenes.planes(torch.tensor([0])), scenes.occupied, codec


@pytest.fixture(scope="module")
def scene() -> tuple:
    return made(AutoencoderConfig(f=4, channels=4, width=16, blocks=1, start="scratch"))


def turn(count: int, focal: float, side: int) -> View:
    return orbit(count, 3.0, 20.0, focal, (side, side), torch.zeros(3))


def test_at_the_trained_focal_length_it_is_what_is_marched_and_decoded(scene) -> None:
    view = turn(3, FOCAL, 16)
    out = show(*scene, view, 16, 16, SAMPLING, FOCAL)
    rendering = march(*scene, view, 16, 16, SAMPLING)
    assert tuple(out) == OUTPUTS and torch.equal(out["rgb"], decode(scene[3], rendering, 16, 16))
    rays = {name: pixel_shuffle(getattr(rendering, name).view(3, 4, 4, 4).permute(0, 3, 1, 2), 2) for name in
            ("opacity", "depth")}  # fmt: skip
    assert torch.equal(out["accumulation"][..., ::2, ::2], rays["opacity"])
    assert torch.equal(out["accumulation"][..., 1::2, 1::2], rays["opacity"])
    assert torch.equal(out["depth"][..., 1::2, ::2], rays["depth"] * (rays["opacity"] > 0.5))
    latent = (rendering.latent.view(3, 4, 4, 4).permute(0, 3, 1, 2)[:, :3] + 1) / 2
    cover, behind = rendering.opacity.mean(1).view(3, 1, 4, 4), (scene[3].background[:3].view(1, 3, 1, 1) + 1) / 2
    expected = (latent + (1 - cover) * (1 - behind)).clamp(0, 1)  # white in place of the background
    torch.testing.assert_close(out["latent"][..., ::4, ::4], expected, rtol=0, atol=1e-6)
    assert {name: image.shape[1:] for name, image in out.items()} == {
        "rgb": (3, 16, 16), "latent": (3, 16, 16), "depth": (1, 16, 16), "normals": (3, 16, 16),
        "accumulation": (1, 16, 16),
    }  # fmt: skip


@pytest.fixture(scope="module")
def round_scene() -> tuple:
    """A grey ball of radius 0.5 around (0.2, -0.1, 0.3), whose latents are its colours."""
    codec = build(AutoencoderConfig(kind="identity"), 0).eval().requires_grad_(False)
    scenes = LatentScenes(1, 3, TriPlaneConfig(64, 3, 2, 4, 5, grid=32), seed=1).requires_grad_(False)
    ball(scenes, 0, MIDDLE, 0.5)
    scenes.head.weight[0, 0], scenes.head.bias[0] = 12.0, -6.0  # a hard surface
    scenes.refresh(torch.tensor([0]), codec.background, grow=False)
    return scenes, scenes.planes(torch.tensor([0])), scenes.occupied, codec


MIDDLE, DENSE = (0.2, -0.1, 0.3), SamplingConfig(64, 64)


def test_enlarged_images_have_sharp_silhouettes_where_rays_of_the_full_size_end(round_scene) -> None:
    view, side = turn(2, 30.0, 24), 192
    large = view.resized(side, side)
    shown = show(*round_scene, large, side, side, DENSE, 30.0, ("rgb",))["rgb"]
    exact = show(*round_scene, large, side, side, DENSE, None, ("rgb",))["rgb"]
    smooth = interpolate(show(*round_scene, view, 24, 24, DENSE, 30.0, ("rgb",))["rgb"], (side, side), mode="bilinear")
    frayed = show(*round_scene, large, side, side, DENSE, 60.0, ("rgb",), quick=True)["rgb"]
    ours, theirs = ((image - exact).abs().mean() for image in (shown, smooth))
    assert ours < theirs / 8 and ours < 1e-3
    torch.testing.assert_close(frayed, smooth, rtol=0, atol=1e-5)  # a quick look spares that


def test_fog_does_not_cost_a_ray_for_every_pixel(round_scene, monkeypatch) -> None:
    counted, real = [], enlarging.render_rays
    monkeypatch.setattr(enlarging, "render_rays", lambda *given: counted.append(len(given[2])) or real(*given))
    noise = torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(0))  # edges everywhere
    large = turn(1, 30.0, 24).resized(192, 192)
    found = enlarging.edge_opacity(round_scene[:3], large, noise, 192, 192, DENSE)
    assert found.shape == (1, 1, 192, 192) and 0.05 * 192**2 < sum(counted) <= 0.12 * 192**2


def test_depth_and_normals_are_those_of_the_ball(round_scene) -> None:
    view = turn(3, 60.0, 48)
    out = show(*round_scene, view, 48, 48, DENSE, 60.0)
    solid = out["accumulation"][:, 0] > 0.99
    assert 0.05 < solid.float().mean() < 0.6 and (out["depth"][:, 0][out["accumulation"][:, 0] == 0] == 0).all()
    origins, directions = rays(view, pixel_centres(48, 48).expand(3, -1, -1), 1.0)
    points = (origins + out["depth"].flatten(2).transpose(1, 2) * directions).view(3, 48, 48, 3) - torch.tensor(MIDDLE)
    inner = -torch.nn.functional.max_pool2d(-solid[:, None].float(), 5, 1, 2)[:, 0] > 0
    radius = points.norm(dim=-1)[inner]  # light comes from a little below the surface, which is not quite hard
    assert radius.min() > 0.42 and radius.max() < 0.5 and radius.max() - radius.min() < 0.015
    found = 2 * out["normals"].permute(0, 2, 3, 1)[inner] - 1
    assert (found * torch.nn.functional.normalize(points[inner], dim=-1)).sum(-1).min() > 0.9
    assert (out["normals"].permute(0, 2, 3, 1)[~solid & (out["depth"][:, 0] == 0)] == 1).all()


def test_a_quick_look_has_a_ray_for_each_part_and_half_the_focal_length(scene, monkeypatch) -> None:
    seen = []
    real = showing.render_views
    monkeypatch.setattr(
        showing, "render_views", lambda *given, **named: seen.append((given, named)) or real(*given, **named)
    )
    show(*scene, turn(1, FOCAL, 16), 16, 16, SAMPLING, FOCAL, ("rgb",))
    show(*scene, turn(1, FOCAL, 16), 16, 16, SAMPLING, FOCAL, ("rgb",), quick=True)
    (full, quick) = ((given[3].fx.item(), given[4].shape[1], named["side"]) for given, named in seen)
    assert full == (20.0, 16, None) and quick == (10.0, 4, 1)


def test_every_camera_of_a_batch_goes_by_its_own_focal_length(scene) -> None:
    view = turn(4, FOCAL, 16)
    view = View(
        view.c2w, view.fx * torch.tensor([1, 3, 0.5, 3]), view.fy * torch.tensor([1, 3, 0.5, 3]), view.cx, view.cy
    )
    together = show(*scene, view, 16, 16, SAMPLING, FOCAL)
    for i in range(4):
        alone = show(*scene, view[i : i + 1], 16, 16, SAMPLING, FOCAL)
        for name in OUTPUTS:
            torch.testing.assert_close(together[name][i : i + 1], alone[name], rtol=0, atol=1e-6, msg=f"{name} of {i}")
    assert together["rgb"][1].std() != together["rgb"][0].std()


@pytest.mark.parametrize(
    "config",
    [
        AutoencoderConfig(f=8, channels=48, width=16, blocks=1, start="scratch"),
        AutoencoderConfig(f=4, channels=4, width=16, blocks=1, start="scratch"),
        AutoencoderConfig(f=4, channels=2, width=16, blocks=1, start="scratch"),
        AutoencoderConfig(f=4, channels=1, width=16, blocks=1, start="scratch"),
        AutoencoderConfig(f=4, channels=12, width=16, blocks=1, sub=2, start="scratch"),
        AutoencoderConfig(kind="identity"),
    ],
)
def test_latents_are_colours_on_white_for_every_c_and_sub(config: AutoencoderConfig) -> None:
    scene, view = made(config), turn(1, FOCAL, 16)
    codec = scene[3]
    codec.background.fill_(-0.5)
    shown = show(*scene, view, 16, 16, SAMPLING, FOCAL, ("latent", "accumulation"))
    assert tuple(shown) == ("latent", "accumulation") and shown["latent"].shape[1] == 3
    assert shown["latent"].min() >= 0 and shown["latent"].max() <= 1 and shown["latent"].std() > 0.01
    empty = scene[2] & False
    nothing = show(scene[0], scene[1], empty, codec, view, 16, 16, SAMPLING, FOCAL)["latent"]
    torch.testing.assert_close(nothing, torch.ones_like(nothing))
    codec.background.fill_(1.0)
    if config.kind == "identity":  # colours on white are what they are
        rgb = show(*scene, view, 16, 16, SAMPLING, FOCAL, ("rgb", "latent"))
        torch.testing.assert_close(rgb["latent"], rgb["rgb"], rtol=0, atol=1e-6)
