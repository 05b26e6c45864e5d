"""A whole bench, quickly, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.cli import main
from tda_nerfstudio.studies.bench import run, timing
from tda_nerfstudio.studies.bench.workshop import BenchSizes


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch):
    """Run short cases once a sample."""
    monkeypatch.setattr(timing, "SHORTEST", 1e-6)


def keys(report, path: str) -> set[str]:
    return {row.name for rows in report.groups.values() for row in rows if row.path == path and row.samples}


def test_a_whole_quick_bench(tiny: BenchSizes, tmp_path: Path):
    report = run.run_bench(tmp_path, quick=True, device="cpu", sizes=tiny)
    assert tuple(report.groups) + ("quality",) == run.GROUPS
    rows = [row for group in report.groups.values() for row in group]
    assert all(len(row.samples) == 3 and not row.skipped for row in rows)
    assert len({row.key for row in rows}) == len(rows)
    for row in rows:
        assert sum(row.part(part) for part in timing.PARTS) <= 1.2 * max(row.seconds), row.key
    assert {"warm-up", "latent", "joint", "encode-scene", "decode-scene", "open a run"} <= keys(report, "ours")
    assert {"rgb, whole image", "view", "open a run"} <= keys(report, "rgb")
    assert {"latent", "encode-scene", "rgb, whole image", "view", "view, rgb"} <= keys(report, "plain")
    assert not {"joint", "decode-scene"} & keys(report, "plain")
    assert all(figure.value is not None for figure in report.figures)
    data = json.loads((tmp_path / "bench.json").read_text())
    assert data["settings"]["repeats"] == 3 and data["settings"]["sizes"]["image"] == 16 and len(data["marks"]) == 8


def test_the_full_steps_also_train_through_the_plain_autoencoder(tiny: BenchSizes, tmp_path: Path):
    report = run.run_bench(tmp_path, 7, ["steps"], device="cpu", sizes=tiny)
    assert {"joint", "decode-scene"} <= keys(report, "plain") and list(report.groups) == ["steps"]
    assert all(len(row.samples) == 7 for row in report.groups["steps"])
    (joint,) = (row for row in report.groups["steps"] if row.key == "plain: joint")
    assert joint.part("encode") > 0 and joint.part("decode") > 0 and joint.part("fuse") > 0


def test_without_nerfstudio_and_diffusers_all_runs_but_the_plain_autoencoder(tiny, tmp_path, monkeypatch):
    for name in ("nerfstudio", "diffusers"):
        monkeypatch.setitem(sys.modules, name, None)
    report = run.run_bench(tmp_path, only=["view", "scenes"], quick=True, device="cpu", sizes=tiny)
    skipped = {timing.key: timing.skipped for timing in report.groups["view"] if timing.skipped}
    assert list(skipped) == ["plain: view"] and skipped["plain: view"].startswith("diffusers is missing")
    assert all(timing.samples for timing in report.groups["scenes"]) and (tmp_path / "bench.svg").exists()


def test_too_little_memory_skips_the_big_rows_by_name(
    tiny: BenchSizes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(timing, "available_bytes", lambda device: 3e6)
    report = run.run_bench(tmp_path, only=["scenes"], quick=True, device="cpu", sizes=tiny)
    skipped = [row.key for row in report.groups["scenes"] if row.skipped]
    assert "plain: encode-scene, 4 scenes" in skipped and "rgb: rgb, random rays, 2 scenes" not in skipped
    figure = next(figure for figure in report.figures if figure.what.startswith("  the same, plain: 4 / 2"))
    assert figure.verdict == "plain: encode-scene, 4 scenes was skipped"


def test_what_is_refused_before_anything_is_timed(tmp_path: Path):
    with pytest.raises(TdaError, match="Unknown group 'sample'. Groups are steps, .* Did you mean 'samples'"):
        run.run_bench(tmp_path, only=["sample"])
    with pytest.raises(TdaError, match="6 rounds are too few for medians: give at least 7, or --quick for 3"):
        run.run_bench(tmp_path, 6)
    (tmp_path / "file").touch()
    with pytest.raises(TdaError, match="Nothing can be written to .*file.* .Not a directory"):
        run.run_bench(tmp_path / "file", quick=True)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run.torch.cuda, "is_available", lambda: False)
    with pytest.raises(TdaError, match="There is no CUDA device here"):
        run.choose_device("cuda")
    assert run.choose_device(None).type == "cpu"


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    given = []
    monkeypatch.setattr(run, "run_bench", lambda *args: given.append(args))
    words = ["tda", "bench", "--out", str(tmp_path), "--only", "view", "decode", "--quick", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", words)
    main.entrypoint()
    assert given == [(tmp_path, 7, ("view", "decode"), True, "cpu")]
    assert f"Wrote {tmp_path}/bench.md" in capsys.readouterr().out
