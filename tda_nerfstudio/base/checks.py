"""Options that are checked before the work: numbers of things, and files to be written."""

from __future__ import annotations

from pathlib import Path

from tda_nerfstudio.base.atomic import require_writable
from tda_nerfstudio.base.errors import TdaError


def require_counts(**counts: int | None) -> None:
    """Raise TdaError unless these options are whole numbers of 1 or more, or not given."""
    for name, value in counts.items():
        if value is not None and value < 1:
            raise TdaError(f"--{name} is {value}. Give a whole number of 1 or more.")


def require_between(name: str, value: int, low: int, high: int) -> None:
    """Raise TdaError unless an option is within its bounds."""
    if not low <= value <= high:
        raise TdaError(f"--{name} is {value:,}. Give a whole number from {low:,} to {high:,}.")


def require_output(path: Path, kinds: tuple[str, ...]) -> None:
    """Raise TdaError unless a file of one of these kinds, told by their suffixes, can be written there."""
    if path.is_dir() or path.suffix.lower() not in kinds:
        what = "is a folder" if path.is_dir() else f"ends in '{path.suffix}'" if path.suffix else "has no suffix"
        name = path / f"output{kinds[0]}" if path.is_dir() or not path.name else path.with_suffix(kinds[0])
        raise TdaError(f"The output {path} {what}: what kind of file is it to be? Name it {name}, for example.")
    require_writable(path.parent)
