"""The figures of a group of runs, as pictures with captions: latent spaces, latent scenes and a gallery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tda_nerfstudio.studies.report.compare import Group
from tda_nerfstudio.studies.rows import RunRow

MOST_RUNS, MOST_SCENES, FEW_SCENES = 5, 24, 6
"""Most runs and most scenes in a gallery, and most scenes in the figures of latents."""
SPACES = {"3d-aware": "3D-aware", "colours": "colour", "standard": "standard"}
"""The name of each latent space on a page."""
COMPARED = {"3D-aware", "standard"}
"""Spaces that are to be seen side by side."""


@dataclass(frozen=True)
class ScenePictures:
    """Pictures of one held-out view of a scene, as data URIs."""

    truth: str
    encoded: str
    """The latent that the autoencoder alone makes of the truth."""
    rendered: str
    """The latent that is rendered from the scene."""
    decoded: str


RunPictures = dict[str, dict[str, ScenePictures]]
"""Pictures by the label of a run, then by the name of a scene."""
Captioned = tuple[str, str]
"""The URI of a picture, and the text below it."""


@dataclass(frozen=True)
class Figure:
    """Pictures of some scenes in named lines. Each line holds one picture of each scene."""

    title: str
    about: str
    scenes: list[str]
    lines: dict[str, list[Captioned]]
    by_scene: bool = False
    """Whether all pictures of a scene stand together in one frame."""


def scenes_worst_first(group: Group) -> list[str]:
    """Sort a group's scenes by the mean PSNR of its runs, and keep as many as a gallery shows."""
    names = group.rows[0].scenes.get("name", [])
    columns = [row.scenes.get("psnr") or [0.0] * len(names) for row in group.rows]
    means = [sum(column[i] for column in columns) for i in range(len(names))]
    return [names[i] for i in sorted(range(len(names)), key=means.__getitem__)][:MOST_SCENES]


def spaces(rows: Sequence[RunRow]) -> dict[str, RunRow]:
    """Find the best run in each latent space. `rows` are sorted, the best one first."""
    return {row.space: row for row in reversed(rows) if row.space in SPACES}


def figures(group: Group, pictures: RunPictures) -> list[Figure]:
    """Make all figures for which there are pictures."""
    shown = [row for row in group.rows if row.label in pictures]
    scenes = [name for name in scenes_worst_first(group) if all(name in pictures[row.label] for row in shown)]
    if not shown:
        return []
    count = min(FEW_SCENES, len(scenes))
    few = [scenes[round(i * (len(scenes) - 1) / max(count - 1, 1))] for i in range(count)]
    best = {SPACES[space]: row for space, row in sorted(spaces(shown).items())}
    lines = {"truth": [(pictures[shown[0].label][name].truth, "") for name in scenes]}
    lines |= {row.label: [_decoded(row, name, pictures) for name in scenes] for row in shown}
    about = "Worst scene first, by the mean PSNR of all runs of the group; the number is that of the run's scene."
    return [*(_latents(best, few, pictures) if best else []), Figure("Gallery", about, scenes, lines, by_scene=True)]


def _latents(best: Mapping[str, RunRow], scenes: list[str], pictures: RunPictures) -> list[Figure]:
    runs = "Runs: " + ", ".join(f"{row.label} ({space})" for space, row in best.items()) + "."
    runs += "".join(
        f" No {space} run of these scenes could be shown beside."
        for space in sorted(COMPARED - {*best})
        if COMPARED & {*best}
    )
    of = {space: pictures[row.label] for space, row in best.items()}
    truth = {"truth": [(next(iter(of.values()))[name].truth, "") for name in scenes]}
    encoded = {f"{space} latent": [(of[space][name].encoded, "") for name in scenes] for space in best}
    rendered = {}
    for space, row in best.items():
        rendered[f"{space}, rendered"] = [(of[space][name].rendered, "") for name in scenes]
        rendered[f"{space}, decoded"] = [_decoded(row, name, pictures) for name in scenes]
    before = "The same held-out views, encoded: first three channels of nu(E(x)) as red, green and blue."
    after = "Scenes rendered in each space, and decoded; PSNR over all held-out views of the scene."
    return [
        Figure("Latent spaces", f"{before} {runs}", scenes, truth | encoded),
        Figure("Latent scenes", f"{after} {runs}", scenes, truth | rendered),
    ]


def _decoded(row: RunRow, scene: str, pictures: RunPictures) -> Captioned:
    psnr = row.scenes["psnr"][row.scenes["name"].index(scene)]
    return pictures[row.label][scene].decoded, f"{psnr:.1f} dB"
