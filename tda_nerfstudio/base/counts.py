"""Options that are numbers of things."""

from __future__ import annotations

from tda_nerfstudio.base.errors import TdaError


def require_counts(**counts: int | None) -> None:
    """Raise TdaError unless these options are whole numbers of 1 or more, or not given."""
    for name, value in counts.items():
        if value is not None and value < 1:
            raise TdaError(f"--{name} is {value}. Give a whole number of 1 or more.")
