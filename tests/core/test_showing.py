"""One rule for all images: the trained focal length, then enlarged, each camera by its own."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import interpolate

from tda_nerfstudio.autoencoder.build import build
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.core.cameras import View, orbit
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
    latent = rendering.latent.view(3, 4, 4, 4).permute(0, 3, 1, 2)
    assert torch.equal(out["latent"][:, :, ::4, ::4], (latent + 1) / 2)
    assert torch.equal(out["depth"][:, 0, 3::4, 3::4], rendering.depth.view(3, 4, 4))
    assert torch.equal(out["accumulation"][:, 0, 1::4, 2::4], rendering.opacity.view(3, 4, 4))
    assert {name: image.shape[1:] for name, image in out.items()} == {
        "rgb": (3, 16, 16), "latent": (4, 16, 16), "depth": (1, 16, 16), "accumulation": (1, 16, 16)
    }  # fmt: skip


def test_a_longer_focal_length_is_rendered_at_the_trained_one_and_enlarged(scene) -> None:
    small, large = (show(*scene, turn(2, k * FOCAL, 16 * k), 16 * k, 16 * k, SAMPLING, FOCAL) for k in (1, 2))
    smooth = interpolate(small["rgb"], scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(large["rgb"], smooth, rtol=0, atol=1e-6)
    torch.testing.assert_close(large["latent"], interpolate(small["latent"], scale_factor=2.0), rtol=0, atol=1e-6)


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
    ("config", "channels"),
    [
        (AutoencoderConfig(f=8, channels=48, width=16, blocks=1, start="scratch"), 3),
        (AutoencoderConfig(f=4, channels=4, width=16, blocks=1, start="scratch"), 4),
        (AutoencoderConfig(f=4, channels=2, width=16, blocks=1, start="scratch"), 3),
        (AutoencoderConfig(f=4, channels=1, width=16, blocks=1, start="scratch"), 1),
        (AutoencoderConfig(f=4, channels=12, width=16, blocks=1, sub=2, start="scratch"), 3),
        (AutoencoderConfig(kind="identity"), 3),
    ],
)
def test_latents_are_mapped_to_colours_once_for_every_c_and_sub(config: AutoencoderConfig, channels: int) -> None:
    scene, view = made(config), turn(1, FOCAL, 16)
    codec = scene[3]
    codec.background.fill_(-0.5)
    shown = show(*scene, view, 16, 16, SAMPLING, FOCAL, ("latent", "accumulation"))
    assert tuple(shown) == ("latent", "accumulation") and shown["latent"].shape[1] == channels
    assert shown["latent"].min() >= 0 and shown["latent"].max() <= 1
    empty = scene[2] & False
    nothing = show(scene[0], scene[1], empty, codec, view, 16, 16, SAMPLING, FOCAL)["latent"]
    torch.testing.assert_close(nothing, torch.full_like(nothing, 0.25))  # (-0.5 + 1) / 2
    if config.kind == "identity":
        rgb = show(*scene, view, 16, 16, SAMPLING, FOCAL)["rgb"]
        torch.testing.assert_close(shown["latent"], rgb, rtol=0, atol=1e-6)
