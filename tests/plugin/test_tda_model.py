"""Cameras of any size become finite, contiguous outputs of the right scene."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from nerfstudio.cameras.cameras import Cameras, CameraType

from tda_nerfstudio.core.phase import GROUPS
from tda_nerfstudio.plugin.cameras import as_view


@pytest.fixture
def model(pipeline):
    """An untrained model whose latents have their scale and background, in evaluation mode."""
    pipeline.learner.calibrate()
    pipeline.learner.measure_background()
    return pipeline.eval().model


def camera(model, width: int, height: int, zoom: float = 1.0, centre=None, dtype=torch.float32, **metadata) -> Cameras:
    """Look at the origin from in front, at `zoom` times the focal length that was trained on."""
    c2w = torch.tensor([[[1.0, 0, 0, 0], [0, 0, -1, -1.9], [0, 1, 0, 0]]])
    focal = torch.tensor([zoom * model.native_focal], dtype=dtype)
    x, y = centre or (width / 2, height / 2)
    named = {"metadata": {name: torch.tensor([[value]]) for name, value in metadata.items()}} if metadata else {}
    return Cameras(
        c2w, focal, focal, torch.tensor([x]), torch.tensor([y]), width, height, None, CameraType.PERSPECTIVE, **named
    )


@pytest.mark.parametrize("size", [(101, 71), (32, 32), (33, 4), (1, 1)])
def test_outputs_have_the_cameras_size_and_are_finite_and_contiguous(model, size: tuple[int, int]) -> None:
    width, height = size
    outputs = model.get_outputs_for_camera(camera(model, width, height))
    shapes = {name: tuple(value.shape) for name, value in outputs.items()}
    sizes = {"rgb": 3, "latent": 3, "depth": 1, "normals": 3, "accumulation": 1}
    assert shapes == {name: (height, width, channels) for name, channels in sizes.items()}
    for name, value in outputs.items():
        assert value.is_contiguous(), name
        assert torch.isfinite(value).all(), name
        assert value.dtype == torch.float32, name
    assert 0 <= outputs["rgb"].min() <= outputs["rgb"].max() <= 1
    assert 0 <= outputs["accumulation"].min() <= outputs["accumulation"].max() <= 1
    assert 0 <= outputs["latent"].min() <= outputs["latent"].max() <= 1


def test_an_odd_size_is_the_corner_of_the_next_multiple_of_f(model) -> None:
    odd = model.get_outputs_for_camera(camera(model, 101, 71))
    padded = model.get_outputs_for_camera(camera(model, 104, 72, centre=(50.5, 35.5)))
    for name, value in odd.items():
        assert torch.equal(value, padded[name][:71, :101]), name


@pytest.mark.parametrize("zoom", [2, 3])
def test_a_longer_focal_length_is_rendered_at_the_trained_one_and_enlarged(model, zoom: int) -> None:
    small = model.get_outputs_for_camera(camera(model, 32, 24))
    large = model.get_outputs_for_camera(camera(model, 32 * zoom, 24 * zoom, zoom))
    for name in ("depth", "latent", "normals"):
        repeated = small[name].repeat_interleave(zoom, 0).repeat_interleave(zoom, 1)
        assert torch.allclose(large[name], repeated, atol=1e-4), name


def test_zooming_in_shows_the_middle_at_half_the_resolution(model) -> None:
    zoomed = model.get_outputs_for_camera(camera(model, 32, 32, 2.0))
    middle = model.get_outputs_for_camera(camera(model, 16, 16))
    assert torch.allclose(zoomed["latent"][::2, ::2], middle["latent"], atol=1e-5)


def test_a_shorter_focal_length_is_rendered_as_it_is(model) -> None:
    short = camera(model, 40, 24, 0.5)
    outputs = model.get_outputs_for_camera(short)
    _, images = model.render(0, as_view(short, "cpu"), 24, 40)
    assert torch.equal(outputs["rgb"], images[0].permute(1, 2, 0))


def test_a_camera_without_batch_dimension_and_in_double_precision_renders_the_same(model) -> None:
    expected = model.get_outputs_for_camera(camera(model, 20, 12))
    double = camera(model, 20, 12, dtype=torch.float64)
    for given in (camera(model, 20, 12)[0], double):
        outputs = model.get_outputs_for_camera(given)
        assert all(torch.allclose(outputs[name], expected[name], atol=1e-6) for name in expected)
    assert torch.equal(model(camera(model, 20, 12))["rgb"], expected["rgb"])


def test_scenes_differ_and_a_cameras_own_scene_wins_over_the_active_one(pipeline, model) -> None:
    pipeline.select_scene("vehicle_0002")
    active = model.get_outputs_for_camera(camera(model, 16, 16))["latent"]
    own = model.get_outputs_for_camera(camera(model, 16, 16, scene_idx=1))["latent"]
    assert not torch.equal(active, own)
    pipeline.select_scene("vehicle_0001")
    assert torch.equal(model.get_outputs_for_camera(camera(model, 16, 16))["latent"], own)
    assert torch.equal(model.get_outputs_for_camera(camera(model, 16, 16, scene_idx=2))["latent"], active)


def test_every_parameter_is_in_one_group_and_groups_are_those_of_the_phases(model) -> None:
    groups = model.get_param_groups()
    assert tuple(groups) == GROUPS
    grouped = [id(param) for params in groups.values() for param in params]
    assert sorted(grouped) == sorted(id(param) for param in model.parameters() if param.numel())


def test_scores_of_a_copy_and_of_a_known_error(model) -> None:
    image = torch.rand(16, 16, 3) * 0.5
    outputs = {"rgb": image, "depth": torch.zeros(16, 16, 1)}
    same, pictures = model.get_image_metrics_and_images(outputs, {"image": image})
    assert same["psnr"] == pytest.approx(100)
    assert same["ssim"] == pytest.approx(1, abs=1e-5)
    assert pictures["img"].shape == (16, 32, 3)
    worse, _ = model.get_image_metrics_and_images(outputs, {"image": image + 0.1})
    assert worse["psnr"] == pytest.approx(20, abs=1e-3)


def test_the_rgb_baseline_trains_scenes_alone_and_renders_pixels(configure) -> None:
    config = configure("tda-rgb").pipeline
    model = config.setup(device="cpu").eval().model
    assert [name for name, params in model.get_param_groups().items() if params] == ["micro", "mlp"]
    outputs = model.get_outputs_for_camera(camera(model, 9, 7))
    assert torch.allclose(outputs["rgb"], outputs["latent"], atol=1e-6)


def test_the_seed_alone_decides_initial_weights(configure) -> None:
    config = configure().pipeline
    torch.manual_seed(1)
    first = config.setup(device="cpu").state_dict()
    torch.manual_seed(2)
    second = config.setup(device="cpu").state_dict()
    config.model = replace(config.model, seed=config.model.seed + 1)
    other = config.setup(device="cpu").state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    for part in ("field.scenes.micro", "field.scenes.base", "autoencoder.encoder.deep.1.weight"):
        assert not torch.equal(first[f"_model.{part}"], other[f"_model.{part}"])


def test_an_error_in_a_thread_of_the_viewer_is_said_in_its_picture(model, monkeypatch, capsys) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from nerfstudio.viewer_legacy.server.viewer_utils import IOChangeException

    expected = model.get_outputs_for_camera(camera(model, 32, 24))
    errors = iter([KeyError("gone"), IOChangeException()])
    monkeypatch.setattr(model, "_outputs", lambda given: (_ for _ in ()).throw(next(errors)))
    with ThreadPoolExecutor(1) as viewer:
        outputs = viewer.submit(model.get_outputs_for_camera, camera(model, 32, 24)).result()
        assert {name: image.shape for name, image in outputs.items()} == {n: i.shape for n, i in expected.items()}
        assert outputs["rgb"].std() > 0 and "This view cannot be rendered: 'gone'" in capsys.readouterr().out
        with pytest.raises(IOChangeException):
            viewer.submit(model.get_outputs_for_camera, camera(model, 32, 24)).result()
    monkeypatch.setattr(model, "_outputs", lambda given: (_ for _ in ()).throw(KeyError("gone")))
    with pytest.raises(KeyError):
        model.get_outputs_for_camera(camera(model, 32, 24))
