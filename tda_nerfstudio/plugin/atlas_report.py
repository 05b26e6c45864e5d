"""A report of what an atlas holds and what is unusual about it, before it is learnt."""

from __future__ import annotations

from tda_nerfstudio.atlas.alike import busy_background, unlike_scales
from tda_nerfstudio.atlas.atlas import Atlas
from tda_nerfstudio.atlas.bounds import evenly
from tda_nerfstudio.base.errors import counted
from tda_nerfstudio.base.terminal import CONSOLE, warn

LOOKED_AT = 64
"""Most scenes whose images are looked at, evenly spread over all."""
NAMED = 3
"""Most scenes that a warning names."""


def report_atlas(atlas: Atlas) -> None:
    """Print what an atlas holds and how it was read, and warn of scenes that will be hard to learn with the others."""
    scenes = atlas.scenes
    CONSOLE.print(
        f"Atlas {atlas.root}: {counted(len(scenes), 'scene')} ({scenes[0].name} ... {scenes[-1].name}),"
        f" {sum(len(s.train) for s in scenes)} training and {sum(len(s.test) for s in scenes)} held-out views,"
        f" {atlas.width} x {atlas.height}",
        markup=False,
    )
    for note in atlas.notes:
        CONSOLE.print(f"Note: {note}", markup=False)
    if atlas.broken:
        CONSOLE.print(f"{counted(len(atlas.broken), 'broken scene')} left out:", style="yellow", markup=False)
        for reason in atlas.broken.values():
            CONSOLE.print(f"  {reason}", markup=False)
    scenes = evenly(scenes, LOOKED_AT)
    if busy := [scene.name for scene in scenes if busy_background(scene)]:
        warn(
            f"{len(busy)} of {len(scenes)} scenes have a background that is not white ({_named(busy)}). It is"
            " learnt as if it were part of the object, and what is beyond the box cannot be. Use images with alpha, or"
            " with masks (masks/ beside images/, 0 where it is to be white)."
        )
    if unlike := unlike_scales(scenes):
        how = [f"'{name}' {says}" for name, says in list(unlike.items())[:NAMED]]
        warn(
            f"{len(unlike)} of {len(scenes)} scenes are of another scale: {'; '.join(how)}. Scenes share their"
            " base planes and one box, so that they should stand alike. Scale their poses, or leave them out."
        )


def _named(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:NAMED]) + (", ..." if len(names) > NAMED else "")
