"""Files that a command is to write, looked at before its work."""

from __future__ import annotations

from pathlib import Path

from tda_nerfstudio.base.atomic import require_writable
from tda_nerfstudio.base.errors import TdaError

VIDEOS = (".mp4", ".mov", ".mkv", ".avi")
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
PAGES = (".html", ".htm")
PLOTS = (".png", ".svg", ".pdf")


def require_output(path: Path, kinds: tuple[str, ...]) -> None:
    """Raise TdaError unless a file of one of these kinds, told by their suffixes, can be written there."""
    if path.is_dir() or path.suffix.lower() not in kinds:
        what = "is a folder" if path.is_dir() else f"ends in '{path.suffix}'" if path.suffix else "has no suffix"
        name = path / f"output{kinds[0]}" if path.is_dir() or not path.name else path.with_suffix(kinds[0])
        raise TdaError(f"The output {path} {what}: what kind of file is it to be? Name it {name}, for example.")
    require_writable(path.parent)
