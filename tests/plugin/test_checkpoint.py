"""What is in a checkpoint, and what is said of one that is damaged or does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.plugin.checkpoint import check_state, model_tensors


def test_tensors_lose_the_pipelines_prefix(tmp_path: Path) -> None:
    torch.save({"pipeline": {"_model.a.b": torch.ones(2)}}, tmp_path / "x.ckpt")
    tensors = model_tensors(tmp_path / "x.ckpt")
    assert list(tensors) == ["a.b"]
    assert torch.equal(tensors["a.b"], torch.ones(2))


def test_missing_and_damaged_checkpoints_are_named(tmp_path: Path) -> None:
    with pytest.raises(TdaError, match=f"{tmp_path}/x.ckpt of the finished run is missing. Restore it or train again"):
        model_tensors(tmp_path / "x.ckpt")
    torch.save({"pipeline": {"_model.a": torch.ones(1000)}}, tmp_path / "x.ckpt")
    whole = (tmp_path / "x.ckpt").read_bytes()
    (tmp_path / "x.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TdaError, match=f"{tmp_path}/x.ckpt cannot be read .* Restore it or train again"):
        model_tensors(tmp_path / "x.ckpt")


def test_a_checkpoint_that_could_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"pipeline": {"_model.a": Path("anything but a tensor")}}, tmp_path / "x.ckpt")
    with pytest.raises(TdaError, match="cannot be read"):
        model_tensors(tmp_path / "x.ckpt")


def test_equal_names_and_shapes_pass() -> None:
    state = {"a.x": torch.zeros(2, 3), "b.y": torch.zeros(1)}
    check_state(state, {key: value + 1 for key, value in state.items()}, "It")


def test_what_differs_is_listed_four_of_a_kind() -> None:
    expected = {f"k{i}": torch.zeros(1) for i in range(6)} | {"s": torch.zeros(2)}
    with pytest.raises(TdaError) as caught:
        check_state({"s": torch.zeros(3), "new": torch.zeros(1)}, expected, "Run 7")
    assert str(caught.value) == (
        "Run 7 does not fit this configuration and is refused; missing: k0, k1, k2, k3 and 2 more; unexpected: new;"
        " other shapes: s is (3,), not (2,). Use the config.yml that was saved beside it, with the same scenes and"
        " sizes."
    )
