"""What it ran on."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import psutil
import pytest
import torch

from tda_nerfstudio.base.hardware import describe, peak_memory


def test_processor_cores_threads_and_device_are_named():
    found = describe(torch.device("cpu"))
    assert set(found) == {"processor", "cores", "threads", "device"}
    assert found["processor"] and 1 <= found["cores"] <= (os.cpu_count() or 1)
    assert found["threads"] == torch.get_num_threads() and found["device"] == "cpu"


def test_peak_memory_is_known_on_all_systems(monkeypatch: pytest.MonkeyPatch):
    assert peak_memory() > 2**20
    monkeypatch.setattr(psutil.Process, "memory_info", lambda self: SimpleNamespace(rss=1, peak_wset=2))
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert peak_memory() == 2


def test_cores_are_counted_where_processes_are_bound_to_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS
    assert describe(torch.device("cpu"))["cores"] == os.cpu_count()
