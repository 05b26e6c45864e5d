"""Outputs of commands that draw: their suffix says what they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.studies.report.page import write_report
from tda_nerfstudio.studies.sheet import draw_sheet
from tda_nerfstudio.studies.weight_curve import draw_curve


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (lambda output: draw_sheet(Path("none"), output), "x.png"),
        (lambda output: write_report([Path("none")], output), "x.html"),
        (lambda output: draw_curve(Path("none"), Path("none"), output, 3), "x.png"),
    ],
)
def test_every_output_says_by_its_suffix_what_it_is(write: Callable, name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TdaError, match=f"The output x has no suffix: .* Name it {name}, for example."):
        write(Path("x"))
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(TdaError, match="Nothing can be written to file"):
        write(Path("file") / name)


@pytest.mark.parametrize("scenes", [0, -1])
def test_a_sheet_needs_a_scene(tmp_path: Path, scenes: int) -> None:
    with pytest.raises(TdaError, match=f"--scenes is {scenes}. Give a whole number of 1 or more."):
        draw_sheet(Path("none"), tmp_path / "sheet.png", scenes)
