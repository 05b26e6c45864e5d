"""What a computation ran on."""

from __future__ import annotations

import platform
import re
import sys
from pathlib import Path
from typing import Any

import psutil
import torch


def describe(device: torch.device) -> dict[str, Any]:
    """Name processor, cores that this process may use, threads, and the GPU if that is the device."""
    process = psutil.Process()
    own = process.cpu_affinity() if hasattr(process, "cpu_affinity") else None  # macOS binds no process to cores
    return {
        "processor": _processor(),
        "cores": len(own) if own else psutil.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }


def peak_memory() -> int:
    """Count the bytes that this process has held at most."""
    peak = getattr(psutil.Process().memory_info(), "peak_wset", None)
    if peak is not None:  # on Windows; psutil knows no peak elsewhere
        return peak
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()
