"""What options of all exports have in common."""

from __future__ import annotations

from tda_nerfstudio.base.errors import TdaError

SIDE = 128
"""Cells along each side of the grid that surfaces are found in."""


def require_between(name: str, value: int, low: int, high: int) -> None:
    """Raise TdaError unless an option is within its bounds."""
    if not low <= value <= high:
        raise TdaError(f"--{name} is {value:,}. Give a whole number from {low:,} to {high:,}.")
