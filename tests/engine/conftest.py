"""A store without scenes that has the shared parts of a tiny stage 1, and the same filled."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from short_plans import WORDS

from tda_nerfstudio.base.places import place
from tda_nerfstudio.engine.planning import new_store
from tda_nerfstudio.plugin import stage_one as stage_one_module
from tda_nerfstudio.store.store import Store


@pytest.fixture(scope="session")
def empty_store(stage_one, tiny_atlas: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store from the finished stage 1."""
    folder = tmp_path_factory.mktemp("engine") / "empty"
    new_store(folder, str(tiny_atlas), stage_one_module.read(stage_one.folder, None)[0], {})
    return folder


@pytest.fixture
def new(empty_store: Path, tmp_path: Path) -> Callable[[], Store]:
    """Give tests `new()`: a copy of that store."""

    def copy() -> Store:
        return Store(shutil.copytree(empty_store, tmp_path / f"store{len(list(tmp_path.iterdir()))}"))

    return copy


@pytest.fixture
def atlas(tiny_atlas: Path, tmp_path: Path) -> Path:
    """Copy the tiny atlas, to change it."""
    return shutil.copytree(tiny_atlas, tmp_path / "atlas")


@pytest.fixture(scope="session")
def learnt(empty_store: Path, tiny_atlas: Path, tmp_path_factory: pytest.TempPathFactory, command) -> Store:
    """Learn all six scenes by the command, undisturbed."""
    folder = shutil.copytree(empty_store, tmp_path_factory.mktemp("learnt") / "store")
    result = command("tda", "learn", "--data", tiny_atlas, "--store", folder, *WORDS)
    assert result.code == 0, result.text
    return Store(folder)


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """Start a server with an empty bucket, and give its address."""
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (keys | {"AWS_ENDPOINT_URL": f"http://{host}:{port}"}).items():
            patch.setenv(name, value)
        place("s3://inventory").fs.mkdir("inventory")  # type: ignore[attr-defined]
        yield "s3://inventory"
    server.stop()
