"""Weights that ship with the package: who starts from them, and what never depends on them."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from tda_nerfstudio.autoencoder import embedded
from tda_nerfstudio.autoencoder.build import build, resolve
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.base.errors import TdaError

TINY = AutoencoderConfig(f=4, channels=2, width=16, blocks=1, sub=1)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the package ship a tiny autoencoder's weights."""
    monkeypatch.setattr(embedded, "FOLDER", tmp_path / "weights")
    model = build(replace(TINY, start="scratch"), seed=5)
    model.latent_scale.fill_(0.3)
    model.background.copy_(torch.tensor([0.1, -0.7]))
    return embedded.save(model, TINY, embedded.FOLDER)


def test_the_file_says_its_sizes_and_holds_float16_but_for_the_buffers(weights):
    assert weights.name == "light-f4-c2.safetensors"
    with safe_open(weights, "pt") as file:
        assert file.metadata() == {"f": "4", "channels": "2", "sub": "1", "width": "16", "blocks": "1"}
        types = {name: file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    assert {name for name, kind in types.items() if kind == torch.float32} == {"latent_scale", "background"}
    assert set(types.values()) == {torch.float32, torch.float16}


def test_an_autoencoder_of_these_sizes_starts_from_them_whatever_the_seed(weights):
    config = resolve(TINY)
    assert config.start == "embedded" and config.knows
    first, scratch = build(config, seed=1), build(replace(TINY, start="scratch"), seed=5)
    assert first.fingerprint() == build(config, seed=2).fingerprint() != scratch.fingerprint()
    assert float(first.latent_scale) == pytest.approx(0.3) and first.background.tolist() == pytest.approx([0.1, -0.7])
    weight = scratch.state_dict()["decoder.deep.0.weight"]
    assert torch.equal(first.state_dict()["decoder.deep.0.weight"], weight.half().float())
    assert all(tensor.dtype == torch.float32 for tensor in first.state_dict().values())


@pytest.mark.parametrize(
    "other", [{"f": 8}, {"channels": 3}, {"channels": 4, "sub": 2}, {"width": 32}, {"blocks": 2}, {"start": "scratch"}]
)
def test_other_sizes_start_from_the_seed(weights, other):
    config = replace(TINY, **other)
    resolved = resolve(config)
    assert resolved.start == "scratch" and not resolved.knows
    assert build(resolved, 3).fingerprint() == build(replace(config, start="scratch"), 3).fingerprint()


def test_a_checkpoint_needs_no_weights(weights):
    config = resolve(TINY)
    state, finger = build(config).state_dict(), build(config).fingerprint()
    weights.unlink()
    again = build(AutoencoderConfig(**asdict(config)))
    again.load_state_dict(state)
    assert again.fingerprint() == finger


def test_a_damaged_installation_is_named(weights):
    content = weights.read_bytes()
    weights.write_bytes(content[:-64])
    with pytest.raises(TdaError, match="light-f4-c2.safetensors .*are damaged .*Install the package again"):
        build(TINY)


def test_weights_in_the_package_are_small_and_load():
    for path in embedded.FOLDER.glob("*.safetensors"):
        assert path.stat().st_size <= 4e6 and (embedded.FOLDER / "README.md").is_file()
        with safe_open(path, "pt") as file:
            config = AutoencoderConfig(**{name: int(value) for name, value in file.metadata().items()})
        assert resolve(config).start == "embedded" and float(build(config).latent_scale) != 1
