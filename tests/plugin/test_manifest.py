"""Finished runs say what they are; errors say what is wrong with them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.plugin.manifest import (
    check_state,
    newest_stage_one,
    read_manifest,
    stage_one_tensors,
    write_manifest,
)


def test_a_manifest_comes_back_with_its_folder_and_the_versions_that_made_it(tmp_path: Path) -> None:
    write_manifest(tmp_path / "run", {"method": "tda-ae"})
    manifest = read_manifest(tmp_path / "run")
    assert manifest["method"] == "tda-ae"
    assert manifest["run"] == str(tmp_path / "run")
    assert manifest["versions"]["torch"] == torch.__version__.split("+")[0]
    assert set(manifest["versions"]) == {"python", "tda-nerfstudio", "nerfstudio", "torch", "numpy"}


def test_any_file_of_a_run_names_it(tmp_path: Path) -> None:
    write_manifest(tmp_path, {"method": "tda-ae"})
    (tmp_path / "config.yml").touch()
    assert read_manifest(tmp_path / "config.yml") == read_manifest(tmp_path)


def test_a_path_that_leads_nowhere_is_named_itself(tmp_path: Path) -> None:
    with pytest.raises(TdaError, match=f"^{tmp_path}/nope does not exist. Give the folder of a finished run"):
        read_manifest(tmp_path / "nope")


def test_an_unfinished_run_is_named_with_the_way_to_finish_it(tmp_path: Path) -> None:
    with pytest.raises(TdaError) as caught:
        read_manifest(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} is not a finished run: it has no finished.json. Let it finish (ns-train ... --load-dir"
        f" {tmp_path}/nerfstudio_models) or name another run."
    )


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "finished.json").write_text('{"method": ')
    with pytest.raises(TdaError, match=rf"{tmp_path}/finished.json cannot be read \(.*\). Train that run again."):
        read_manifest(tmp_path)


def test_the_stage_one_that_finished_last_is_found_among_all_atlases(tmp_path: Path) -> None:
    for age, name in enumerate(["cars/tda-ae/b", "vans/tda-ae/a", "cars/tda-ae/c", "cars/tda-scenes/d"]):
        write_manifest(tmp_path / name, {"method": name.split("/")[1]})
        os.utime(tmp_path / name / "finished.json", (1000 - age, 1000 - age))
    os.utime(tmp_path / "vans/tda-ae/a/finished.json", (2000, 2000))
    (tmp_path / "cars/tda-ae/broken").mkdir()
    (tmp_path / "cars/tda-ae/broken/finished.json").write_text("no JSON")
    assert newest_stage_one(tmp_path)["run"] == str(tmp_path / "vans/tda-ae/a")


def test_no_stage_one_says_where_it_was_looked_for_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "cars/tda-ae/unfinished").mkdir(parents=True)
    with pytest.raises(TdaError) as caught:
        newest_stage_one(tmp_path)
    assert str(caught.value) == (
        f"No finished tda-ae run below {tmp_path}, and tda-scenes needs one to start from. Run `ns-train tda-ae --data"
        " ATLAS` first, or name a run with --pipeline.autoencoder PATH."
    )


def test_tensors_lose_the_pipelines_prefix(tmp_path: Path) -> None:
    torch.save({"pipeline": {"_model.a.b": torch.ones(2)}}, tmp_path / "x.ckpt")
    tensors = stage_one_tensors({"run": str(tmp_path), "checkpoint": "x.ckpt"})
    assert list(tensors) == ["a.b"]
    assert torch.equal(tensors["a.b"], torch.ones(2))


def test_missing_and_damaged_checkpoints_are_named(tmp_path: Path) -> None:
    manifest = {"run": str(tmp_path), "checkpoint": "x.ckpt"}
    with pytest.raises(TdaError, match=f"{tmp_path}/x.ckpt of the finished run is missing. Restore it or train again"):
        stage_one_tensors(manifest)
    torch.save({"pipeline": {"_model.a": torch.ones(1000)}}, tmp_path / "x.ckpt")
    whole = (tmp_path / "x.ckpt").read_bytes()
    (tmp_path / "x.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TdaError, match=f"{tmp_path}/x.ckpt cannot be read .* Restore it or train again"):
        stage_one_tensors(manifest)


def test_a_checkpoint_that_could_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"pipeline": {"_model.a": Path("anything but a tensor")}}, tmp_path / "x.ckpt")
    with pytest.raises(TdaError, match="cannot be read"):
        stage_one_tensors({"run": str(tmp_path), "checkpoint": "x.ckpt"})


def test_equal_keys_and_shapes_pass_and_only_the_named_prefixes_count() -> None:
    state = {"a.x": torch.zeros(2, 3), "b.y": torch.zeros(1)}
    check_state(state, {key: value + 1 for key, value in state.items()}, "It")
    check_state(state, {"a.x": torch.ones(2, 3), "b.z": torch.ones(7)}, "It", ("a.",))


def test_what_differs_is_listed_four_of_a_kind() -> None:
    expected = {f"k{i}": torch.zeros(1) for i in range(6)} | {"s": torch.zeros(2)}
    with pytest.raises(TdaError) as caught:
        check_state({"s": torch.zeros(3), "new": torch.zeros(1)}, expected, "Run 7")
    assert str(caught.value) == (
        "Run 7 does not fit this configuration and is refused; missing: k0, k1, k2, k3 and 2 more; unexpected: new;"
        " other shapes: s is (3,), not (2,). Use the config.yml that was saved beside it, with the same scenes and"
        " sizes."
    )


def test_a_manifest_is_json_that_other_programs_can_read(tmp_path: Path) -> None:
    write_manifest(tmp_path, {"method": "tda-ae", "metrics": {"psnr": 20.5}})
    assert json.loads((tmp_path / "finished.json").read_text())["metrics"] == {"psnr": 20.5}
