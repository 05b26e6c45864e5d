"""Screenshots that browser tests keep, to be looked at."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any


def keep(page: Any, name: str) -> None:
    """Keep a screenshot, to be looked at: in $TDA_SCREENSHOTS, by default in the system's temporary folder."""
    folder = Path(os.environ.get("TDA_SCREENSHOTS") or Path(tempfile.gettempdir()) / "tda_screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png")
