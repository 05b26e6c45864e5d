"""Where a bench ran, and whether it had the machine for itself."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch

from tda_nerfstudio.base.hardware import describe
from tda_nerfstudio.studies.bench.timing import Timing

BUSY_LOAD = 0.5
"""Runnable processes per core before the start, above which the machine counts as busy."""
BUSY_SHARE = 0.9
"""CPU seconds per second of time, below which this process had to wait for a core."""
PACKAGES = ("tda-nerfstudio", "torch", "diffusers", "numpy")


def describe_conditions(device: torch.device) -> dict[str, Any]:
    """Name processor, cores, threads, GPU, versions, time and the load average of the last minute."""
    return {
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        **describe(device),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def warnings(machine: dict[str, Any], rows: Sequence[Timing] = ()) -> list[str]:
    """Say what makes the numbers doubtful: load before the start, or waiting for a core while timing.

    On CUDA only the load counts, since waiting for the device is not waiting for a core.
    """
    found, load = [], machine["load"]
    if load is not None and load > BUSY_LOAD * machine["cores"]:
        found.append(
            f"THE MACHINE IS BUSY: load average {load} on {machine['cores']} cores before the start. Trust ratios of"
            " this run at most, no seconds; run again when it is quiet."
        )
    shares = [sample.cpu / sample.seconds for row in rows for sample in row.samples]
    if shares and machine["device"] == "cpu" and statistics.median(shares) < BUSY_SHARE:
        found.append(
            f"THE MACHINE WAS BUSY: this process got {statistics.median(shares):.2f} CPU seconds a second while it was"
            " timed. Trust ratios of this run at most, no seconds."
        )
    return found
