"""A store of somebody else reaches no network, no other file, and makes nothing larger than what it holds."""

from __future__ import annotations

import json
import resource
import socket
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tda_nerfstudio.autoencoder.architecture import check_architecture
from tda_nerfstudio.autoencoder.build import build, resolve
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.base.errors import StoreError
from tda_nerfstudio.core.scenes import LatentScenes
from tda_nerfstudio.store import shared_parts
from tda_nerfstudio.store.learnt_scene import LearntScene, Record
from tda_nerfstudio.store.manifest import MANIFEST, DefaultCamera, SharedConfig
from tda_nerfstudio.store.shared_parts import SharedParts, write_shared_parts
from tda_nerfstudio.store.store import Store

HUB = {"source": "stabilityai/sd-vae-ft-mse", "revision": "0123456789abcdef0123456789abcdef01234567"}
TINY = {
    "encoder_block_out_channels": [8, 8],
    "decoder_block_out_channels": [8, 8],
    "latent_channels": 4,
    "num_encoder_blocks": [1, 1],
    "num_decoder_blocks": [1, 1],
}
KL = {
    "block_out_channels": [8, 8],
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "norm_num_groups": 4,
    "latent_channels": 4,
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail whatever connects or looks a host up."""

    def connect(*given: object, **_: object) -> None:
        pytest.fail(f"a connection was made: {given[1:]}")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)


@pytest.fixture(params=["kl", "tiny"])
def foreign(request: pytest.FixtureRequest, shared_config: SharedConfig, tmp_path: Path) -> Store:
    """A store of one scene through an autoencoder of diffusers."""
    config = resolve(AutoencoderConfig(kind=request.param, architecture={"kl": KL, "tiny": TINY}[request.param]))
    shared, codec = replace(shared_config, autoencoder=config), build(config, 3).eval()
    table = LatentScenes(1, codec.point_channels, shared.triplane, seed=1)
    parts = SharedParts(shared, table, codec, table.weights.detach()[0], table.occupied[0])
    write_shared_parts(tmp_path / "foreign", parts, DefaultCamera(16, 16, 20.0, 3.0), {})
    store = Store(tmp_path / "foreign")
    micro = table.micro.detach().view(3, 6, 6, 3)
    store.add([LearntScene(Record("van"), micro, table.weights.detach()[0], table.occupied[0])])
    return store


def change(store: Store, edit: Callable[[dict[str, Any]], object]) -> Path:
    """Edit a manifest's sizes, as somebody would who knows how hashes are made."""
    from safetensors.torch import load_file

    path = store.folder / MANIFEST
    content = json.loads(path.read_text())
    edit(content["sizes"])
    hashed = deepcopy(content["sizes"])
    if not hashed["triplane"]["starter"]:
        del hashed["triplane"]["starter"]
    content["shared"] = shared_parts._hash(hashed, load_file(store.folder / shared_parts.TENSORS))
    path.write_text(json.dumps(content))
    return store.folder


def test_a_store_of_diffusers_autoencoder_opens_without_a_network(foreign: Store) -> None:
    opened = Store(foreign.folder)
    assert opened["van"].render(opened.orbit(2)).shape == (2, 3, 16, 16) and not opened.verify()
    assert asdict(opened.manifest.config.autoencoder)["architecture"]["latent_channels"] == 4


@pytest.mark.parametrize("given", [HUB, HUB | {"architecture": None}, {"source": "/etc"}, {"revision": "main"}])
def test_a_source_is_refused_and_never_followed(foreign: Store, store: Store, given: dict) -> None:
    for one in (foreign, store):
        with pytest.raises(StoreError, match="names a source of its autoencoder .* which is not followed"):
            Store(change(one, lambda sizes: sizes["autoencoder"].update(given)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("latent_channels", 10**9),
        ("latent_channels", True),
        ("in_channels", 4),
        ("scaling_factor", "x"),
        ("shift_factor", 1e300),
        ("act_fn", "x" * 100),
        ("torch_dtype", "float64"),
        ("extra", [1] * 100),
    ],
)
def test_words_and_numbers_that_no_autoencoder_has_are_refused(foreign: Store, key: str, value: object) -> None:
    with pytest.raises(StoreError, match=f"{key} is .*, which no (kl|tiny) autoencoder has"):
        Store(change(foreign, lambda sizes: sizes["autoencoder"]["architecture"].update({key: value})))


@pytest.mark.parametrize(
    ("kind", "edit", "message"),
    [
        ("kl", {"block_out_channels": [8] * 40}, "no list of 1 to 7"),
        ("kl", {"block_out_channels": [8, 10**6]}, r"block_out_channels is \[8, 1000000\], which no kl"),
        ("kl", {"block_out_channels": [8]}, "down_block_types and block_out_channels have other lengths"),
        ("kl", {"layers_per_block": 10**6}, "layers_per_block is 1000000"),
        ("kl", {"up_block_types": "UpDecoderBlock2D"}, "up_block_types is 'UpDecoderBlock2D', no list"),
        ("tiny", {"num_decoder_blocks": [1, 10**7]}, "num_decoder_blocks is"),
        ("tiny", {"num_decoder_blocks": [1, 1, 1]}, "num_decoder_blocks and encoder_block_out_channels have other"),
        ("tiny", {"upsampling_scaling_factor": 64}, "upsampling_scaling_factor is 64"),
        ("tiny", {f"key{i}": None for i in range(99)}, "at most 64 keys"),
    ],
)
def test_architectures_are_bounded_before_anything_is_built(kind: str, edit: dict, message: str) -> None:
    good = {"kl": KL, "tiny": TINY}[kind]
    check_architecture(kind, good | {"new_in_a_later_version": None, "another": False})
    with pytest.raises(ValueError, match=message):
        check_architecture(kind, good | edit)
    with pytest.raises(ValueError, match="is no set of at most 64 keys"):
        check_architecture(kind, [good])


@pytest.mark.parametrize("given", [{"kind": "pickle"}, {"kind": None}, {"start": "hub"}, {"architecture": {"f": 8}}])
def test_other_kinds_are_refused(store: Store, given: dict) -> None:
    with pytest.raises(StoreError, match="its autoencoder is of the kind|has an architecture"):
        Store(change(store, lambda sizes: sizes["autoencoder"].update(given)))


def test_a_kind_that_would_need_a_source_names_its_architecture(store: Store) -> None:
    given = {"kind": "kl", "source": None, "revision": None, "architecture": None}
    with pytest.raises(StoreError, match="the architecture of a kl autoencoder is no set of at most 64 keys"):
        Store(change(store, lambda sizes: sizes["autoencoder"].update(given)))


def test_sizes_that_the_files_do_not_have_are_refused_before_they_are_made(store: Store, foreign: Store) -> None:
    def widen(sizes: dict) -> None:
        sizes["autoencoder"]["width"], sizes["autoencoder"]["blocks"] = 1024, 64  # 10 GB of weights
        sizes["triplane"] |= {"resolution": 512, "bases": 100}  # 600 MB of planes

    def stack(sizes: dict) -> None:
        wide = "block_out_channels" if sizes["autoencoder"]["kind"] == "kl" else "encoder_block_out_channels"
        sizes["autoencoder"]["architecture"][wide] = [2048, 2048]

    for one, edit in ((store, widen), (foreign, stack)):
        folder = change(one, edit)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(StoreError, match="tensors are missing, unknown or of other shapes: autoencoder"):
            _ = Store(folder).shared
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10  # KiB
