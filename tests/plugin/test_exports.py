"""ns-export over a run of ours: nerfstudio's own exporters, and what they are told before they begin."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ball import ball
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.exporter.exporter_utils import collect_camera_poses, generate_point_cloud
from nerfstudio.exporter.tsdf_utils import export_tsdf_mesh

from tda_nerfstudio.core.ray_colours import ray_colours
from tda_nerfstudio.core.showing import decode, march
from tda_nerfstudio.plugin.exports import INSTEAD
from tda_nerfstudio.plugin.ray_bundles import camera_of

CENTRE, RADIUS = (0.2, -0.15, 0.1), 0.5


def said(capsys: pytest.CaptureFixture) -> str:
    """What was printed, without frames."""
    return " ".join(capsys.readouterr().out.translate(str.maketrans("│╭╮╰╯─", " " * 6)).split())


@pytest.fixture
def solid(configure: Callable):
    """A pipeline whose first scene is a ball in box coordinates, so an ellipsoid in the world."""
    pipeline = configure(kind="colours").pipeline.setup(device="cpu", test_mode="test")
    scenes = pipeline.model.field.scenes
    ball(scenes, 0, CENTRE, RADIUS)
    with torch.no_grad():
        scenes.head.weight[0, 0] = 2000.0  # opaque within a hundredth of the box
        scenes.head.bias[0] = -1386.0
    return pipeline


def in_box(pipeline, points: np.ndarray) -> np.ndarray:
    """Distances of world points to the ball's middle, in box coordinates."""
    unit = pipeline.model.field.scenes.unit(torch.tensor(np.asarray(points)).float())
    return (unit - torch.tensor(CENTRE)).norm(dim=1).numpy()


@pytest.mark.parametrize("kind", INSTEAD)
def test_a_kind_that_does_not_apply_is_refused_before_it_begins(
    configure: Callable, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    config = configure()
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["/somewhere/ns-export", kind, "--load-config", "config.yml"])
    with pytest.raises(SystemExit) as caught:
        config.pipeline.setup(device="cpu", test_mode="test")
    assert caught.value.code == 1
    text = said(capsys)
    assert f"ns-export {kind} does not apply" in text and f"`tda export {INSTEAD[kind]} RUN OUT`" in text


def test_poses_are_exported(configure: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    config = configure()
    monkeypatch.setattr(sys, "argv", ["ns-export", "cameras", "--load-config", "config.yml"])
    train, held_out = collect_camera_poses(config.pipeline.setup(device="cpu", test_mode="test"))
    assert (len(train), len(held_out)) == (8, 2)
    assert json.dumps(train)
    assert Path(train[0]["file_path"]).is_file()


def test_what_tsdf_does_by_default_is_said_before_it_works(
    configure: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    config = configure()
    capsys.readouterr()
    for more, told in (([], True), (["--use-bounding-box", "False", "--texture-method", "tsdf"], False)):
        monkeypatch.setattr(sys, "argv", ["ns-export", "tsdf", "--load-config", "config.yml", *more])
        pipeline = config.pipeline.setup(device="cpu", test_mode="test")
        text = said(capsys)
        low, high = (" ".join(f"{x:.3f}" for x in corner.tolist()) for corner in pipeline.datamanager.dataparser.box())
        assert (f"--bounding-box-min {low} --bounding-box-max {high}" in text) == told
        assert ("--target-num-faces 5000" in text) == (told and not torch.cuda.is_available())


def test_stock_point_clouds_lie_on_the_surface(solid) -> None:
    solid.datamanager.train_pixel_sampler.num_rays_per_batch = 3000
    cloud = generate_point_cloud(solid, num_points=4000, remove_outliers=False, normal_output_name="normals")
    points, normals = np.asarray(cloud.points), np.asarray(cloud.normals)
    assert len(np.unique(points.round(6), axis=0)) == len(points) >= 4000
    assert np.abs(in_box(solid, points) - RADIUS).mean() < 0.03
    box = solid.model.field.scenes.box.numpy()
    half = (box[1] - box[0]) / 2
    outwards = (points - box.mean(0) - CENTRE * half) / half**2
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    assert (normals * outwards).sum(1).mean() > 0.95
    assert np.abs(np.asarray(cloud.colors) - 0.5).mean() < 0.05  # its latents are grey


def test_stock_tsdf_meshes_lie_on_the_surface(solid, tmp_path: Path) -> None:
    import trimesh

    low, high = (tuple(corner.tolist()) for corner in solid.model.field.scenes.box)
    export_tsdf_mesh(
        solid, tmp_path, downscale_factor=1, resolution=[40] * 3, bounding_box_min=low, bounding_box_max=high
    )
    mesh = trimesh.load(tmp_path / "tsdf_mesh.ply", force="mesh")
    assert isinstance(mesh, trimesh.Trimesh) and len(mesh.faces) > 500
    assert np.median(np.abs(in_box(solid, mesh.vertices) - RADIUS)) < 0.06


def test_rays_alone_and_rays_of_a_camera_see_the_same(solid) -> None:
    bundle, _ = solid.datamanager.next_train(0)
    assert camera_of(bundle) is not None
    whole = solid.model(bundle)
    shape = bundle.origins.shape[:2]
    turn = torch.randperm(len(bundle), generator=torch.Generator().manual_seed(0))
    alone = solid.model(bundle.flatten()[turn])
    assert whole["rgb"].shape == (*shape, 3) and alone["rgb"].shape == (len(bundle), 3)
    for name in ("rgb", "depth", "normals", "accumulation"):
        error = (alone[name] - whole[name].view(len(bundle), -1)[turn]).abs()
        assert float(error.mean()) < (0.03 if name == "rgb" else 1e-5), name
    middle = whole["accumulation"][..., 0] > 0.9
    assert middle.any() and (whole["accumulation"][..., 0] < 0.1).any()
    assert (whole["depth"][~middle & (whole["accumulation"][..., 0] < 0.1)] > whole["depth"][middle].max()).all()


def test_a_camera_is_found_in_its_rays() -> None:
    pose = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(4)))[0]
    pose *= torch.linalg.det(pose)
    c2w = torch.cat([pose, torch.tensor([[1.0], [2.0], [-0.5]])], 1)
    bundle = Cameras(c2w[None], 31.0, 37.0, 11.5, 8.25, 21, 15).generate_rays(0)
    found = camera_of(bundle)
    assert found is not None and (found.width, found.height) == (21, 15)
    torch.testing.assert_close(found.c2w[0], c2w, atol=1e-5, rtol=0)
    numbers = torch.cat(tuple(found)[1:])
    torch.testing.assert_close(numbers, torch.tensor([31.0, 37.0, 11.5, 8.25]), atol=1e-3, rtol=0)
    moved = bundle.origins + 0.1 * torch.randn(bundle.origins.shape, generator=torch.Generator().manual_seed(5))
    assert camera_of(RayBundle(moved, bundle.directions, bundle.pixel_area, metadata=bundle.metadata)) is None
    assert camera_of(bundle.flatten()) is None


def test_learnt_latents_get_the_colours_that_decoded_views_have(pipeline) -> None:
    ball(pipeline.model.field.scenes, 0, CENTRE, RADIUS)
    scene, sampling = pipeline.model.scene(0), pipeline.model.config.sampling
    colours, view = ray_colours(scene, pipeline.model._some_views(), sampling), pipeline.model._some_views()
    out = march(*scene, view, view.height, view.width, sampling)
    codec = scene[3]
    images = decode(codec, out, view.height, view.width)
    sub = codec.sub
    side = view.width // codec.f
    parts = torch.nn.functional.pixel_shuffle(out.latent.view(4, side, side, -1).permute(0, 3, 1, 2), sub)
    wanted = torch.nn.functional.interpolate(images, parts.shape[-2:], mode="area").permute(0, 2, 3, 1)
    found = colours(parts.permute(0, 2, 3, 1).flatten(0, 2)).view_as(wanted)
    assert float((found - wanted).square().mean()) < 0.5 * float(wanted.var())


def test_fog_is_refused_where_a_point_cloud_would_be_searched_for_ever(pipeline, capsys: pytest.CaptureFixture) -> None:
    with torch.no_grad():
        pipeline.model.field.scenes.head.bias[0] = -30.0
    bundle, _ = pipeline.datamanager.next_train(0)
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        pipeline.model(bundle)
    assert caught.value.code == 1
    assert f"Scene '{pipeline.datamanager.active_scene}' has no surface: it is" in said(capsys)
