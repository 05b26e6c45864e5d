"""Finished runs say what they are; errors say what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.plugin.finished import read_finished, write_finished


def test_a_manifest_comes_back_with_its_folder_and_the_versions_that_made_it(tmp_path: Path) -> None:
    write_finished(tmp_path / "run", {"method": "tda-ae"})
    manifest = read_finished(tmp_path / "run")
    assert manifest["method"] == "tda-ae"
    assert manifest["run"] == str(tmp_path / "run")
    assert manifest["versions"]["torch"] == torch.__version__.split("+")[0]
    assert set(manifest["versions"]) == {"python", "tda-nerfstudio", "nerfstudio", "torch", "numpy"}


def test_any_file_of_a_run_names_it(tmp_path: Path) -> None:
    write_finished(tmp_path, {"method": "tda-ae"})
    (tmp_path / "config.yml").touch()
    assert read_finished(tmp_path / "config.yml") == read_finished(tmp_path)


def test_a_path_that_leads_nowhere_is_named_itself(tmp_path: Path) -> None:
    with pytest.raises(TdaError, match=f"^{tmp_path}/nope does not exist. Give the folder of a finished run"):
        read_finished(tmp_path / "nope")


def test_an_unfinished_run_is_named_with_the_way_to_finish_it(tmp_path: Path) -> None:
    with pytest.raises(TdaError) as caught:
        read_finished(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} is not a finished run: it has no finished.json. Let it finish (ns-train ... --load-dir"
        f" {tmp_path}/nerfstudio_models) or name another run."
    )


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "finished.json").write_text('{"method": ')
    with pytest.raises(TdaError, match=rf"{tmp_path}/finished.json cannot be read \(.*\). Train that run again."):
        read_finished(tmp_path)


def test_a_manifest_is_json_that_other_programs_can_read(tmp_path: Path) -> None:
    write_finished(tmp_path, {"method": "tda-ae", "metrics": {"psnr": 20.5}})
    assert json.loads((tmp_path / "finished.json").read_text())["metrics"] == {"psnr": 20.5}
