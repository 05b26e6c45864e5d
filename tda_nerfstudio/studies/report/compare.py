"""Find which runs can be compared, and by how much they differ on the scenes that they share."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from tda_nerfstudio.base.errors import counted
from tda_nerfstudio.studies.rows import RunRow


@dataclass(frozen=True)
class Group:
    """Runs that were scored on the same views of the same scenes at the same image size. The best PSNR comes first."""

    title: str
    rows: list[RunRow]


@dataclass(frozen=True)
class Pair:
    """How the PSNR of two runs differs on the scenes of both, in dB: mean difference and its standard error.

    `wins` counts the scenes on which the better run is better.
    """

    better: str
    other: str
    scenes: int
    mean: float
    error: float
    wins: int


def label(rows: Sequence[RunRow]) -> list[RunRow]:
    """Give every run a `label` that no other run has.

    Space, output folder and a number are added to its name only if it is not unique without them.
    """
    names = [row.name or "?" for row in rows]
    for more in ([row.space for row in rows], [row.output for row in rows]):
        counts = Counter(names)
        names = [f"{name} · {own}" if counts[name] > 1 and own else name for name, own in zip(names, more, strict=True)]
    seen: Counter[str] = Counter()
    labelled = []
    for name, row in zip(names, rows, strict=True):
        seen[name] += 1
        label = name if seen[name] == 1 else f"{name} ({seen[name]})"
        labelled.append(row.model_copy(update={"label": label}))
    return labelled


def group(rows: Sequence[RunRow]) -> list[Group]:
    """Group the complete runs that can be compared with each other. The biggest group comes first."""
    groups: dict[Any, list[RunRow]] = {}
    for row in rows:
        if row.complete:
            scenes = tuple(zip(row.scenes.get("name", ()), row.scenes.get("views", ()), strict=False))
            groups.setdefault((_setting(row), scenes), []).append(row)
    ranked = [sorted(members, key=lambda row: row.psnr, reverse=True) for members in groups.values()]
    return [Group(_title(members[0]), members) for members in sorted(ranked, key=len, reverse=True)]


def _setting(row: RunRow) -> tuple:
    """Return data and image size: scenes of the same name are the same only if these are the same."""
    return row.data.get("name"), tuple(row.data.get("image_size") or ())


def _title(row: RunRow) -> str:
    columns, size = row.scenes, row.data.get("image_size")
    counts = {int(str(views).partition(":")[0]) for views in columns.get("views", [])}
    views = f"{counts.pop()} held-out views each" if len(counts) == 1 else "held-out views"
    names = columns.get("name", [])
    scenes = counted(len(names), "scene")
    at = f"{size[0]} x {size[1]}" if size else "image size not recorded"
    span = f" ({names[0]} ... {names[-1]})" if len(names) > 1 else ""
    return f"{row.data.get('name') or 'unnamed data'}: {scenes}{span}, {views}, {at}"


def shared(a: RunRow, b: RunRow) -> list[tuple[str, float, float]]:
    """List the scenes that both runs scored on the same views: name, PSNR of `a` and PSNR of `b` in dB."""
    if _setting(a) != _setting(b):
        return []
    values = [
        {(n, v): psnr for n, v, psnr in zip(c.get("name", ()), c.get("views", ()), c.get("psnr", ()), strict=False)}
        for c in (a.scenes, b.scenes)
    ]
    return [(key[0], values[0][key], values[1][key]) for key in values[0] if key in values[1]]


def pairs(groups: Sequence[Group]) -> list[Pair]:
    """Compare each group's best run with the group's other runs, and with the best runs of other groups.

    Runs that share fewer than two scenes are not compared.
    """
    chosen = [(one.rows[0], row) for one in groups for row in one.rows[1:]]
    chosen += [(a.rows[0], b.rows[0]) for a, b in combinations(groups, 2)]
    found = []
    for one, other in chosen:
        both = shared(one, other)
        if len(both) > 1:
            gaps = [a - b for _, a, b in both]
            if statistics.mean(gaps) < 0:
                one, other, gaps = other, one, [-gap for gap in gaps]
            error = statistics.stdev(gaps) / len(gaps) ** 0.5
            wins = sum(gap > 0 for gap in gaps)
            found.append(Pair(one.label, other.label, len(gaps), statistics.mean(gaps), error, wins))
    return found
