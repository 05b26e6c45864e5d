"""The figures of a group of runs: latent spaces, latent scenes, gallery; as grids of pictures with captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from tda_nerfstudio.studies.report.compare import Group

Row = dict[str, Any]


@dataclass(frozen=True)
class Shot:
    """One held-out view of a scene: each picture a data URI."""

    view: str
    """Its name."""
    truth: str
    encoded: str
    """Latent of the truth, by the autoencoder alone."""
    rendered: str
    """Latent that the scene was rendered to."""
    decoded: str


Shots = dict[str, dict[str, Shot]]
"""By a run's label, then by scene."""
MOST_RUNS, MOST_SCENES, FEW_SCENES = 5, 24, 6
"""Runs and scenes in a gallery; scenes in the figures of latents."""


def scenes_worst_first(group: Group) -> list[str]:
    """Sort a group's scenes by the mean PSNR of its runs, and keep those that a gallery shows."""
    names = group.rows[0]["scenes"].get("name", [])
    columns = [row["scenes"].get("psnr") or [0.0] * len(names) for row in group.rows]
    means = [sum(column[i] for column in columns) for i in range(len(names))]
    return [names[i] for i in sorted(range(len(names)), key=means.__getitem__)][:MOST_SCENES]


def spaces(group: Group) -> dict[str, Row]:
    """Find the best run in a 3D-aware space and the best one in a standard space."""
    best: dict[str, Row] = {}
    for row in group.rows:
        if row["space"] in ("3d-aware", "standard"):
            best.setdefault(row["space"], row)
    return best


def figures(group: Group, shots: Shots) -> str:
    """Draw all that the shots at hand allow, and say what is left out."""
    shown = [row for row in group.rows if row["label"] in shots]
    if not shown:
        return ""
    scenes = [name for name in scenes_worst_first(group) if all(name in shots[row["label"]] for row in shown)]
    best = spaces(Group(group.title, shown))
    count = min(FEW_SCENES, len(scenes))
    few = [scenes[round(i * (len(scenes) - 1) / max(count - 1, 1))] for i in range(count)]
    parts = [_latent_spaces(best, few, shots), _latent_scenes(best, few, shots), _gallery(shown, scenes, shots)]
    if len(best) == 1:
        other = _called("standard" if "3d-aware" in best else "3d-aware")
        parts.insert(1, f'<p class="note">No {other} run of these scenes could be shown beside.</p>')
    return "".join(parts)


def _latent_spaces(best: dict[str, Row], scenes: Sequence[str], shots: Shots) -> str:
    if not best:
        return ""
    runs = list(best.items())
    first = runs[0][1]["label"]
    lines = [("truth", [(shots[first][name].truth, "") for name in scenes])]
    for space, row in runs:
        lines.append((f"{_called(space)} latent", [(shots[row["label"]][name].encoded, "") for name in scenes]))
    about = f"The same held-out views, encoded: first three channels of nu(E(x)) as red, green and blue. {_runs(best)}"
    return _section("Latent spaces", about, _grid(lines, scenes))


def _latent_scenes(best: dict[str, Row], scenes: Sequence[str], shots: Shots) -> str:
    if not best:
        return ""
    lines = [("truth", [(shots[next(iter(best.values()))["label"]][name].truth, "") for name in scenes])]
    for space, row in best.items():
        of = shots[row["label"]]
        lines.append((f"{_called(space)}, rendered", [(of[name].rendered, "") for name in scenes]))
        lines.append((f"{_called(space)}, decoded", [(of[name].decoded, _decibels(row, name)) for name in scenes]))
    about = f"Scenes rendered in each space, and decoded; PSNR over all held-out views of the scene. {_runs(best)}"
    return _section("Latent scenes", about, _grid(lines, scenes))


def _gallery(shown: Sequence[Row], scenes: Sequence[str], shots: Shots) -> str:
    first, cards = shots[shown[0]["label"]], []
    for name in scenes:
        runs = [(shots[row["label"]][name].decoded, row["label"], _decibels(row, name)) for row in shown]
        pictures = "".join(
            f"<span>{_image(uri, name)}<small>{_breakable(label)}<br>{quality}</small></span>"
            for uri, label, quality in [(first[name].truth, "truth", ""), *runs]
        )
        cards.append(f'<figure class="card"><figcaption>{_breakable(name)}</figcaption><div>{pictures}</div></figure>')
    about = "Worst scene first, by the mean PSNR of all runs of the group; the number is that of the run's scene."
    return _section("Gallery", about, f'<div class="cards">{"".join(cards)}</div>')


def _runs(best: dict[str, Row]) -> str:
    return "Runs: " + ", ".join(f"{row['label']} ({_called(space)})" for space, row in best.items()) + "."


def _called(space: str) -> str:
    return "3D-aware" if space == "3d-aware" else space


def _decibels(row: Row, scene: str) -> str:
    columns = row["scenes"]
    return f"{columns['psnr'][columns['name'].index(scene)]:.1f} dB"


def _section(title: str, about: str, content: str) -> str:
    return f'<h3>{escape(title)}</h3><p class="note">{escape(about)}</p>{content}'


def _grid(lines: Sequence[tuple[str, Sequence[tuple[str, str]]]], columns: Sequence[str]) -> str:
    """Lay pictures out in a table: a name and (URI, caption) pairs a line."""
    head = "".join(f"<th>{_breakable(name)}</th>" for name in columns)
    body = "".join(
        f"<tr><th>{escape(name)}</th>"
        + "".join(f"<td>{_image(uri, name)}<small>{caption}</small></td>" for uri, caption in pictures)
        + "</tr>"
        for name, pictures in lines
    )
    return f'<div class="wide"><table class="pictures"><thead><tr><th></th>{head}</tr></thead>{body}</table></div>'


def _image(uri: str, name: str) -> str:
    return f'<img src="{uri}" alt="{escape(name)}">'


def _breakable(name: str) -> str:
    return escape(name).replace("_", "_<wbr>")
