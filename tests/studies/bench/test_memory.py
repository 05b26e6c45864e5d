"""What is free, and the most that work takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tda_nerfstudio.studies.bench import memory

CPU = torch.device("cpu")


def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str) -> None:
    for name, text in (("MEMINFO", "MemTotal: 9 kB\nMemAvailable: 2000 kB\n"), ("LIMIT", limit), ("USED", "300000")):
        path = tmp_path / name
        path.write_text(text)
        monkeypatch.setattr(memory, name, path)


@pytest.mark.parametrize(("limit", "free"), [("max\n", 2_048_000), ("1000000\n", 700_000), ("9000000", 2_048_000)])
def test_a_container_s_limit_counts_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str, free: int):
    files(monkeypatch, tmp_path, limit)
    assert memory.available_bytes(CPU) == free


def test_without_proc_half_the_memory_counts_as_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    assert memory.available_bytes(CPU) > 1e8


@pytest.mark.skipif(not memory.RESET.exists(), reason="only Linux lets a process reset its high-water mark")
def test_memory_that_was_given_back_counts_for_the_peak():
    held = torch.ones(2_000_000)
    done, peak = memory.peak_bytes(CPU, lambda: float((held[0] + torch.ones(25_000_000)).sum()))
    assert done == 5e7 and peak is not None and 1.9e8 < peak < 2.4e8  # two tensors of 100 MB
    _, less = memory.peak_bytes(CPU, lambda: None)
    assert less is not None and less < 2e7


def test_where_it_cannot_be_measured_the_work_is_done_all_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(memory, "RESET", tmp_path / "none" / "clear_refs")
    assert memory.peak_bytes(CPU, lambda: "done") == ("done", None)
