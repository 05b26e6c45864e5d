"""The row of a run: a small JSON object that `tda run` keeps, and that reports are made from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NotRequired

from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt, ValidationError, field_validator
from typing_extensions import TypedDict

from tda_nerfstudio.base.atomic import write_text
from tda_nerfstudio.base.errors import TdaError

FORMAT = 1
PARTS = frozenset({"m_mic", "m_w", "m_B", "m_MLP", "m_AE", "m_decoder"})


class Data(TypedDict, total=False):
    """What a run was trained and scored on."""

    name: str
    split: list[str]
    image_size: list[int] | None


class RecordedStageOne(TypedDict, total=False):
    """The run that stage 2 started from. `seconds` are those of its training steps."""

    name: str
    fingerprint: str | None
    space: str | None
    scenes: int
    seconds: float | None


class RecordedPhase(TypedDict):
    """A phase of a run's training. `visits` are per scene, and `end` is the first step after the phase."""

    name: str
    start: int
    end: int
    visits: NotRequired[float]
    timed_steps: NotRequired[int]
    seconds: NotRequired[float | None]


class RunRow(BaseModel):
    """All that is kept of a run, in the order in which it is written. A default means that the value is not known."""

    format: int = FORMAT
    name: str = ""
    output: str = ""
    method: str = ""
    space: str = ""
    complete: bool = False
    problems: list[str] = []
    commands: list[str] = []
    seed: int | None = None
    versions: dict[str, str] = {}
    machine: dict[str, Any] = {}
    data: Data = {}
    model: dict[str, Any] = {}
    schedule: dict[str, Any] = {}
    stage_one: RecordedStageOne = {}
    phases: list[RecordedPhase] = []
    seconds: float | None = None
    """Total of the training steps."""
    minutes_per_scene: float | None = None
    ms_per_view: dict[str, NonNegativeFloat] = {}
    bytes: dict[str, NonNegativeInt] = {}
    metrics: dict[str, float | list[float]] = {}
    scenes: dict[str, list[Any]] = {}
    """A table: a list for each column, with one value for each scene."""
    curves: dict[str, tuple[list[int], list[float]]] = {}
    """Steps and values of each loss."""
    label: str = Field(default="", exclude=True)
    """Its name in a report, which no other run there has."""

    @property
    def psnr(self) -> float:
        """Mean over held-out views in dB. Only complete runs have it."""
        value = self.metrics["psnr"]
        assert isinstance(value, float)
        return value

    @field_validator("bytes")
    @classmethod
    def _has_all_parts(cls, parts: dict[str, int]) -> dict[str, int]:
        if parts and not parts.keys() >= PARTS:
            raise ValueError(f"{', '.join(sorted(PARTS - parts.keys()))} missing")
        return parts

    @field_validator("scenes", "curves")
    @classmethod
    def _has_columns_of_one_length(cls, content: dict[str, Any], info: Any) -> dict[str, Any]:
        tables = content.values() if info.field_name == "curves" else [content.values()]
        if any(len({len(column) for column in columns}) > 1 for columns in tables):
            raise ValueError("columns differ in length")
        return content


def write_row(row: RunRow, path: Path, **more: Any) -> None:
    """Write a row and the keys in `more`, one key on each line. The file is written whole or not at all."""
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in (row.model_dump() | more).items())
    write_text(path, f"{{\n{lines}\n}}\n")


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """List run folders and row files: those that are given, and those below any other folder that is given.

    Raises TdaError for a path that does not exist.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise TdaError(f"{path} does not exist. Give run folders, row files, or folders of either.")
        if path.is_dir() and not any((path / name).exists() for name in ("config.yml", "finished.json")):
            runs = sorted(config.parent for config in path.rglob("config.yml"))
            found += runs or sorted(path.rglob("*.json")) or [path]
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def read_row_file(path: Path) -> RunRow:
    """Read a row file. What is wrong with it is listed under the row's `problems`."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        return RunRow(name=path.stem, problems=[f"{path.name} cannot be read ({error}). Make it again."])
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        return RunRow(name=path.stem, problems=[f"{path.name} is no row of a run."])
    if content["format"] > FORMAT:
        problem = f"{path.name} is of a newer version (format {content['format']}, here {FORMAT}). Update the package."
        return RunRow(name=path.stem, problems=[problem])
    content = {"name": path.stem} | content
    try:
        row = RunRow.model_validate(content)
    except ValidationError as error:
        wrong = list(dict.fromkeys(str(one["loc"][0]) for one in error.errors()))
        row = RunRow.model_validate({key: value for key, value in content.items() if key not in wrong})
        row.problems.append(f"{path.name} is damaged: {', '.join(wrong)} cannot be used.")
    row.complete = isinstance(row.metrics.get("psnr"), float)
    return row
