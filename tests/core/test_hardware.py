"""What it ran on."""

from __future__ import annotations

import os

import torch

from tda_nerfstudio.core.hardware import describe


def test_processor_cores_threads_and_device_are_named():
    found = describe(torch.device("cpu"))
    assert set(found) == {"processor", "cores", "threads", "device"}
    assert found["processor"] and 1 <= found["cores"] <= (os.cpu_count() or 1)
    assert found["threads"] == torch.get_num_threads() and found["device"] == "cpu"
