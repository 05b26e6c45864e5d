"""Hand-made rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tda_nerfstudio.studies.rows import RunRow


@pytest.fixture
def make_row() -> Callable[..., RunRow]:
    """Give tests `make_row(name, {scene: PSNR}, views=, size=, **changes)`: a complete row, labelled by its name."""

    def make(
        name: str = "a",
        psnr: dict[str, float] | None = None,
        views: str = "10:aa",
        size: tuple[int, int] | None = (64, 64),
        **changes: Any,
    ) -> RunRow:
        scores = psnr or {"bus": 20.0, "van": 22.0}
        mean = sum(scores.values()) / len(scores)
        row = {
            "name": name,
            "label": name,
            "method": "tda-scenes",
            "space": "3d-aware",
            "complete": True,
            "seed": 42,
            "data": {"name": "cars", "image_size": list(size) if size else None},
            "metrics": {"psnr": mean, "ssim": 0.8, "sharpness": 0.5, "ceiling_psnr": 26.5},
            "scenes": {"name": list(scores), "views": [views] * len(scores), "psnr": list(scores.values())},
            "bytes": {"m_mic": 2**20, "m_w": 0, "m_B": 1000 * 2**20, "m_MLP": 0, "m_AE": 0, "m_decoder": 0},
            "ms_per_view": {"march": 10.0, "decode": 4.0},
            "minutes_per_scene": 2.0,
            "stage_one": {"name": "one", "scenes": 10, "seconds": 6000.0},
            "phases": [{"name": "encode-scene", "start": 0, "end": 100}],
            "curves": {"latent": [[0, 50, 100], [1.0, 0.1, 0.01]]},
            "commands": [f"ns-train tda-scenes --timestamp {name}"],
        }
        return RunRow(**row | changes)

    return make
