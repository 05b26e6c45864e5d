"""A small store of scenes that show something."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tda_nerfstudio.autoencoder.build import build, resolve
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.scenes import LatentScenes, TriPlaneConfig
from tda_nerfstudio.store.learnt_scene import LearntScene, Record
from tda_nerfstudio.store.manifest import DefaultCamera, SharedConfig
from tda_nerfstudio.store.shared_parts import SharedParts, write_shared_parts
from tda_nerfstudio.store.store import Store

TRIPLANE = TriPlaneConfig(resolution=6, micro_channels=3, macro_channels=2, bases=4, hidden=5, grid=3)


@pytest.fixture
def shared_config() -> SharedConfig:
    """A latent pixel for 4 x 4 image pixels."""
    config = resolve(AutoencoderConfig(f=4, channels=4, width=16, blocks=1, start="scratch"))
    return SharedConfig(TRIPLANE, config, SamplingConfig(6, 6))


@pytest.fixture
def table(shared_config: SharedConfig) -> LatentScenes:
    """Three scenes that are not alike, halved so that float16 holds them exactly."""
    scenes = LatentScenes(3, 4, TRIPLANE, seed=1)
    with torch.no_grad():
        scenes.head.bias[0] = 3.0
        scenes.micro.mul_(10)
        for tensor in scenes.parameters():
            tensor.copy_(tensor.half().float())
    scenes.occupied[:, 2, 2] = False
    scenes.occupied[1, 0] = False
    return scenes


@pytest.fixture
def learnt(table: LatentScenes) -> list[LearntScene]:
    """The table's scenes one by one."""
    rows = zip(("van", "bus", "cab"), table.micro.detach(), table.weights.detach(), table.occupied, strict=True)
    return [LearntScene(Record(name, {"psnr": 20.0}), m.view(3, 6, 6, 3), w, o) for name, m, w, o in rows]


@pytest.fixture
def codec(shared_config: SharedConfig):
    """An autoencoder whose numbers float16 holds exactly."""
    model = build(shared_config.autoencoder, 3).eval()
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_(tensor.half().float())
    model.background.copy_(torch.tensor([0.1, -0.2, 0.3, 0.0]))
    return model


@pytest.fixture
def parts(shared_config: SharedConfig, table: LatentScenes, codec) -> SharedParts:
    """What the table's scenes share."""
    return SharedParts(shared_config, table, codec, table.weights.detach().mean(0), table.occupied.any(0))


@pytest.fixture
def folder(tmp_path: Path, parts: SharedParts) -> Path:
    """A store without scenes yet."""
    write_shared_parts(tmp_path / "store", parts, DefaultCamera(16, 16, 20.0, 3.0), {"made": "in a test"})
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path, learnt: list[LearntScene]) -> Store:
    """A store of a file of two scenes and a file of one, in float32."""
    store = Store(folder)
    store.add(learnt[:2], "fp32")
    store.add(learnt[2:], "fp32")
    return store
