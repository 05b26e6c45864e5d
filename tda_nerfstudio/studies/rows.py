"""One small JSON object for each run: what `tda run` keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tda_nerfstudio.core.atomic import write_text
from tda_nerfstudio.plugin.manifest import read_manifest


def write_row(run: Path, path: Path) -> dict[str, Any]:
    """Write the row of a finished run, whole or not at all; return it."""
    manifest = read_manifest(run)
    metrics = {key: value for key, value in manifest["metrics"].items() if key not in ("scenes", "left_out")}
    row = {"name": run.name, "method": manifest["method"], "metrics": metrics}
    write_text(path, json.dumps(row, indent=1) + "\n")
    return row
