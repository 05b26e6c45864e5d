"""Memory: what is free, and the most that a piece of work takes.

Not by psutil: bare machines lack it, it does not know a container's limit, and it cannot reset a peak.
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

T = TypeVar("T")
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MEMINFO, LIMIT, USED = Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


def available_bytes(device: torch.device) -> int:
    """Count the bytes that can still be taken, of the device or of this machine (or of the container's share of it)."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        return torch.cuda.mem_get_info(device)[0]
    if not MEMINFO.exists():
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    free = _kilobytes(MEMINFO, "MemAvailable") * 1024
    if LIMIT.exists() and (limit := LIMIT.read_text().strip()) != "max":
        free = min(free, int(limit) - int(USED.read_text()))
    return free


def peak_bytes(device: torch.device, work: Callable[[], T]) -> tuple[T, int | None]:
    """Do some work; also count the most bytes in use while it ran, above those in use before.

    On CUDA what torch allocated; on Linux the resident set, whose high-water mark a process may reset, after the
    allocator gave back what it kept; None elsewhere.
    """
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        done = work()
        torch.cuda.synchronize(device)
        return done, torch.cuda.max_memory_allocated(device) - before
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        RESET.write_text("5")
        before = _kilobytes(STATUS, "VmRSS")
    except (OSError, AttributeError):
        return work(), None
    done = work()
    return done, (_kilobytes(STATUS, "VmHWM") - before) * 1024


def _kilobytes(path: Path, key: str) -> int:
    return next(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith(f"{key}:"))
