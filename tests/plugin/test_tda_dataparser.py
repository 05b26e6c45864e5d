"""One scene of an atlas for any nerfstudio method."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.plugin.tda_dataparser import TdaAtlasConfig


def test_nerfstudio_knows_the_dataparser_by_name() -> None:
    from nerfstudio.configs.dataparser_configs import all_dataparsers

    assert isinstance(all_dataparsers["tda-atlas"], TdaAtlasConfig)


@pytest.mark.parametrize(("split", "folder", "count"), [("train", "train", 8), ("val", "test", 2), ("test", "test", 2)])
def test_a_split_is_the_scenes_own(tiny_atlas: Path, split: str, folder: str, count: int) -> None:
    parser = TdaAtlasConfig(data=tiny_atlas, scene="vehicle_0003").setup()
    outputs = parser.get_dataparser_outputs(split=split)
    assert [path.parts[-3:-1] for path in outputs.image_filenames] == [("vehicle_0003", folder)] * count
    assert outputs.cameras.camera_to_worlds.shape == (count, 3, 4)
    assert outputs.cameras.metadata["scene_idx"].flatten().tolist() == [3] * count
    assert outputs.metadata["scene_names"] == [f"vehicle_000{i}" for i in range(6)]
    assert outputs.dataparser_scale == 1.0


def test_poses_and_box_are_those_of_the_files(tiny_atlas: Path) -> None:
    import json

    outputs = TdaAtlasConfig(data=tiny_atlas, scene="vehicle_0001").setup().get_dataparser_outputs("train")
    frames = json.loads((tiny_atlas / "vehicle_0001/transforms_train.json").read_text())["frames"]
    poses = torch.tensor([frame["transform_matrix"][:3] for frame in frames])
    assert torch.allclose(outputs.cameras.camera_to_worlds, poses)
    low, high = outputs.scene_box.aabb
    assert (low < 0).all()
    assert (high > 0).all()
    assert (high - low).max() < 2


def test_scenes_of_a_selection_share_its_box_and_count_from_its_first(tiny_atlas: Path) -> None:
    parser = TdaAtlasConfig(data=tiny_atlas, scenes=("2:5",)).setup()
    boxes = [parser.outputs(f"vehicle_000{i}", "train").scene_box.aabb for i in (2, 4)]
    assert torch.equal(*boxes)
    assert parser.outputs("vehicle_0004", "train").cameras.metadata["scene_idx"][0].tolist() == [2]
    assert parser.outputs(None, "train").image_filenames[0].parts[-3] == "vehicle_0002"


def test_a_configured_box_is_kept(tiny_atlas: Path) -> None:
    parser = TdaAtlasConfig(data=tiny_atlas, box=(-1, -2, -3, 4, 5, 6)).setup()
    assert parser.get_dataparser_outputs("train").scene_box.aabb.tolist() == [[-1, -2, -3], [4, 5, 6]]


def test_an_unknown_scene_suggests_the_nearest(tiny_atlas: Path) -> None:
    with pytest.raises(
        TdaError,
        match=r"Unknown scene 'vehicel_0004' in .* \(6 scenes: vehicle_0000, .*\). Did you mean 'vehicle_0004'\?",
    ):
        TdaAtlasConfig(data=tiny_atlas, scene="vehicel_0004").setup().get_dataparser_outputs("train")


def test_a_stock_method_draws_rays_and_colours_of_one_scene(tiny_atlas: Path) -> None:
    from nerfstudio.configs.method_configs import all_methods
    from nerfstudio.data.datamanagers.base_datamanager import VanillaDataManagerConfig

    stock = all_methods["vanilla-nerf"].pipeline.datamanager
    assert isinstance(stock, VanillaDataManagerConfig)
    config = VanillaDataManagerConfig(
        dataparser=TdaAtlasConfig(data=tiny_atlas, scene="vehicle_0002"),
        train_num_rays_per_batch=512,
        eval_num_rays_per_batch=64,
    )
    manager = config.setup(device="cpu", test_mode="val", world_size=1, local_rank=0)
    rays, batch = manager.next_train(0)
    assert rays.origins.shape == (512, 3)
    assert torch.allclose(rays.directions.norm(dim=-1), torch.ones(512), atol=1e-4)
    assert batch["image"].shape == (512, 3)
    assert batch["image"].max() == 1  # the vehicle on white
    camera, _ = manager.next_eval_image(0)
    assert (int(camera.height), int(camera.width)) == (32, 32)
    assert len(manager.eval_dataset) == 2
