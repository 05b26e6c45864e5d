"""ns-export over a run of ours."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tda_nerfstudio.plugin.exports import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_does_not_apply_is_refused_before_it_begins(
    configure: Callable, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    config = configure()
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["/somewhere/ns-export", kind, "--load-config", "config.yml"])
    with pytest.raises(SystemExit) as caught:
        config.pipeline.setup(device="cpu", test_mode="test")
    assert caught.value.code == 1
    text = " ".join(capsys.readouterr().out.translate(str.maketrans("│╭╮╰╯─", " " * 6)).split())
    assert f"ns-export {kind} does not apply: these scenes are decoded from latents, a whole image at a time" in text
    assert "poses with `ns-export cameras`." in text


def test_poses_are_exported(
    configure: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from nerfstudio.exporter.exporter_utils import collect_camera_poses

    config = configure()
    monkeypatch.setattr(sys, "argv", ["ns-export", "cameras", "--load-config", "config.yml"])
    train, held_out = collect_camera_poses(config.pipeline.setup(device="cpu", test_mode="test"))
    assert (len(train), len(held_out)) == (8, 2)
    assert json.dumps(train)
    assert Path(train[0]["file_path"]).is_file()
