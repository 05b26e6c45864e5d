"""A bench at which everything takes milliseconds."""

from __future__ import annotations

import pytest
import torch
from tiny_bench import TINY

from tda_nerfstudio.studies.bench.workshop import BenchSizes, Workshop


@pytest.fixture
def tiny() -> BenchSizes:
    """The sizes."""
    return TINY


@pytest.fixture
def shop(tiny: BenchSizes) -> Workshop:
    """Make everything tiny on the CPU."""
    return Workshop(tiny, torch.device("cpu"))
