"""What runs leave is read without running code, and damage is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.studies.run_files import look_up, part_bytes, read_config, read_losses, short, thin


def test_configs_are_plain_data_even_when_their_classes_are_gone(make_run) -> None:
    config = read_config(make_run("a"))
    assert look_up(config, "machine.seed") == 42
    assert config["data"].endswith("/data/cars") == look_up(config, "pipeline.datamanager.dataparser.data").endswith(
        "/data/cars"
    )
    assert look_up(config, "pipeline.datamanager.dataparser.scenes") == [f"{config['data']}/splits.json"]
    assert look_up(config, "pipeline.schedule") == {"strategy": "encode", "encode_visits": 8}
    assert look_up(config, "pipeline.nothing.here") is None


def test_a_config_runs_no_code(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text(f"a: !!python/object/apply:os.mkdir [{tmp_path}/made]\n")
    assert read_config(tmp_path) == {"a": [f"{tmp_path}/made"]}
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (None, "config.yml is missing: it is no run, or lost its configuration."),
        ("a: [", r"config.yml cannot be read \(while parsing"),
        ("hello", "config.yml is no configuration of a run."),
        (b"\xff\xfe\x00", "config.yml cannot be read"),
    ],
)
def test_missing_and_damaged_configs_are_named(tmp_path: Path, text: str | bytes | None, error: str) -> None:
    if text is not None:
        (tmp_path / "config.yml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TdaError, match=error):
        read_config(tmp_path)


def test_losses_come_from_event_files(tmp_path: Path, write_events) -> None:
    write_events(tmp_path, {"Train Loss Dict/rgb": {0: 0.5, 10: 0.25}, "Train Iter (time)": {0: 2.0}, "Other": {0: 1}})
    assert read_losses(tmp_path) == {"rgb": {0: 0.5, 10: 0.25}}


def test_a_run_without_event_files_says_so_and_damaged_ones_do_no_harm(tmp_path: Path) -> None:
    with pytest.raises(TdaError, match=r"has no event files \(it was trained without --vis tensorboard\): no curves."):
        read_losses(tmp_path)
    (tmp_path / "events.out.tfevents.1.x").write_bytes(b"nonsense" * 20)
    assert read_losses(tmp_path) == {}


def test_curves_are_thinned_to_means_of_neighbours() -> None:
    assert thin({0: 1.0, 10: 3.0, 20: float("nan"), 30: 5.0, 40: 7.0}, points=2) == ([10, 40], [2.0, 6.0])
    steps, values = thin({step: float(step) for step in range(999)})
    assert len(steps) == len(values) == 200 and steps[0] == 2 and steps[-1] == 997
    assert thin({}) == ([], [])
    assert short(0.123456789) == 0.12346


def test_bytes_of_parts_are_counted_and_those_of_a_scene_divided(make_run) -> None:
    checkpoint = make_run("a") / "nerfstudio_models/step-000000003.ckpt"
    assert part_bytes(checkpoint) == {
        "m_mic": 120,
        "m_w": 12,
        "m_B": 120,
        "m_MLP": 28,
        "m_AE": 72,
        "m_decoder": 44,
    }


def test_missing_and_damaged_checkpoints_are_named(tmp_path: Path) -> None:
    with pytest.raises(TdaError, match="x.ckpt is missing: bytes are not known."):
        part_bytes(tmp_path / "x.ckpt")
    (tmp_path / "x.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(TdaError, match="x.ckpt cannot be read"):
        part_bytes(tmp_path / "x.ckpt")
