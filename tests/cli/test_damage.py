"""What goes wrong in the middle of a run costs nothing that was learnt before."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_an_image_that_turns_out_damaged_is_named_after_saving(
    command, stage_one_words: list[str], tiny_atlas: Path, tmp_path: Path
) -> None:
    atlas = tmp_path / tiny_atlas.name
    shutil.copytree(tiny_atlas, atlas)
    for image in (atlas / "vehicle_0003" / "test").glob("*.png"):  # read for the first time when the run is scored
        content = bytearray(image.read_bytes())
        middle = content.index(b"IDAT") + 20
        content[middle] ^= 0xFF
        image.write_bytes(content)
    words = [str(atlas) if word == str(tiny_atlas) else word for word in stage_one_words]
    result = command("ns-train", *words, "--output-dir", tmp_path, "--timestamp", "damaged")
    folder = tmp_path / tiny_atlas.name / "tda-ae" / "damaged"
    assert result.code == 1, result.text
    assert "vehicle_0003/test/" in result.flat and "cannot be decoded" in result.flat
    assert "Step 11 is saved; go on from it with:" in result.flat
    assert [path.name for path in (folder / "nerfstudio_models").iterdir()] == ["step-000000011.ckpt"]
    assert not (folder / "finished.json").exists()
