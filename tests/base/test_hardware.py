"""What it ran on."""

from __future__ import annotations

import os
import sys

import pytest
import torch

from tda_nerfstudio.base.hardware import describe, peak_memory


def test_processor_cores_threads_and_device_are_named():
    found = describe(torch.device("cpu"))
    assert set(found) == {"processor", "cores", "threads", "device"}
    assert found["processor"] and 1 <= found["cores"] <= (os.cpu_count() or 1)
    assert found["threads"] == torch.get_num_threads() and found["device"] == "cpu"


def test_peak_memory_is_known_where_the_system_tells(monkeypatch: pytest.MonkeyPatch):
    assert peak_memory() > 2**20
    monkeypatch.setitem(sys.modules, "resource", None)
    assert peak_memory() == 0
