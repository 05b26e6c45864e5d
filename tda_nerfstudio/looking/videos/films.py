"""The films: scenes one after the other, a wall of them, one beside its truth, and one that turns into others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from tda_nerfstudio.base.errors import TdaError, listed, suggest
from tda_nerfstudio.core.camera_ring import order_by_azimuth
from tda_nerfstudio.core.view import View
from tda_nerfstudio.looking.colouring import picture, with_alpha
from tda_nerfstudio.looking.lettering import write
from tda_nerfstudio.looking.look import Look
from tda_nerfstudio.looking.outputs import coloured_outputs
from tda_nerfstudio.looking.shelf import Shelf
from tda_nerfstudio.looking.videos.film import Film, Frame, identity, numbers

WIDEST = 1920
"""Pixels of a wall, unless its tiles have a size that was asked for."""
HEADER = 18
"""Pixels of a line of text."""
PARTS = {"rgba": ("rgb", "accumulation")}
"""Outputs that are made of others."""
REST = 0.15
"""Share of the way between two scenes of a morph that it rests at each."""


def frames_of(shelf: Shelf, look: Look, view: View, names: Sequence[str] = ("rgb",)) -> list[Frame]:
    """Paint outputs of a scene through one camera; 'rgba' is the decoded image with the scene's opacity."""
    wanted = dict.fromkeys(part for name in names for part in PARTS.get(name, (name,)))
    shown = coloured_outputs(shelf.source, shelf.sight(look), view, tuple(wanted), shelf.palette(look))
    return [with_alpha(*(shown[part] for part in PARTS[n])) if n in PARTS else picture(shown[n]) for n in names]


def one_after_the_other(shelf: Shelf, names: Sequence[str], view: View, outputs: Sequence[str]) -> Film:
    """Show each scene through all cameras, outputs side by side."""
    cameras = len(view)

    def paint(i: int) -> Frame:
        one = view[i % cameras : i % cameras + 1]
        return np.concatenate(frames_of(shelf, Look(names[i // cameras]), one, outputs), axis=1)

    about = {"kind": "turn", "scenes": identity(shelf, names), "view": numbers(view), "outputs": list(outputs)}
    return Film(cameras * len(names), paint, about)


def wall(shelf: Shelf, names: Sequence[str], view: View, labels: bool) -> Film:
    """Show all scenes together, in a grid about as wide as 16:9, through the same cameras."""
    assert view.width is not None and view.height is not None
    wide, high = view.width, view.height + HEADER * labels
    across = tiles_across(len(names), wide, high)
    down = math.ceil(len(names) / across)

    def paint(i: int) -> Frame:
        whole = Image.new("RGB", (across * wide, down * high), "white")
        for k, name in enumerate(names):
            (tile,) = frames_of(shelf, Look(name), view[i : i + 1])
            left, top = k % across * wide, k // across * high
            whole.paste(Image.fromarray(tile), (left, top))
            if labels:
                write(whole, name, left, top + high - HEADER, wide)
        return np.asarray(whole)

    about = {"kind": "wall", "scenes": identity(shelf, names), "view": numbers(view), "labels": labels}
    return Film(len(view), paint, about)


def tiles_across(count: int, width: int, height: int) -> int:
    """Choose how many tiles of a size stand in a row, so that their grid is about as wide as 16:9."""
    return min(max(round(math.sqrt(count * 16 / 9 * height / width)), 1), count)


def tile_size(count: int, width: int, height: int) -> tuple[int, int]:
    """Choose the size of a wall's tiles: that of the images, or less, so that the wall is at most WIDEST wide."""
    scale = min(1.0, WIDEST / tiles_across(count, width, height) / width)
    return max(int(width * scale), 1), max(int(height * scale), 1)


def morph(shelf: Shelf, names: Sequence[str], view: View) -> Film:
    """Turn one scene into the next, and so on to the last, with a short rest at each, while the camera moves on."""
    if len(names) < 2:
        raise TdaError("--morph goes through at least two scenes. Name them in order: --scene A B C.")
    way = len(names) - 1

    def paint(i: int) -> Frame:
        at = i / max(len(view) - 1, 1) * way
        leg = min(int(at), way - 1)
        look = Look(names[leg], other=names[leg + 1], share=eased(at - leg))
        return frames_of(shelf, look, view[i : i + 1])[0]

    return Film(len(view), paint, {"kind": "morph", "scenes": identity(shelf, names), "view": numbers(view)})


def eased(way: float) -> float:
    """Map the way between two scenes, in [0, 1], to the share of the second: slow at both ends, where it rests."""
    moved = min(max((way - REST) / (1 - 2 * REST), 0.0), 1.0)
    return (1 - math.cos(math.pi * moved)) / 2


def beside_truth(shelf: Shelf, names: Sequence[str], baseline: Shelf | None) -> Film:
    """Show scenes' images, what is decoded, and a baseline's, through the cameras of the images around the scene.

    Raises TdaError where images or scenes of the baseline are missing.
    """
    truth = shelf.truth
    if truth is None:
        raise TdaError("--compare shows scenes beside their images, which are not at hand. Add --data ATLAS.")
    views = {name: found for name in names if (found := truth.views(name)) is not None}
    if missing := [name for name in names if name not in views]:
        raise TdaError(f"The atlas {truth.root} lacks {listed(missing)}. Leave them out, or give their atlas: --data.")
    if baseline is not None and (missing := [name for name in names if not baseline.is_learnt(name)]):
        more = suggest(missing[0], baseline.source.names)
        raise TdaError(
            f"The baseline {baseline.source.title} lacks {listed(missing)}.{more} Learn them there, or leave them out."
        )
    shelves = {"decoded": shelf} | ({"baseline": baseline} if baseline is not None else {})
    centre = shelf.source.parts.scenes.box.mean(0).cpu()
    frames = [(name, row) for name in names for row in order_by_azimuth(views[name].c2w, centre).tolist()]

    def paint(i: int) -> Frame:
        name, row = frames[i]
        found, image = views[name], truth.image(views[name], row)
        wide, high = found.width, found.height
        view = View(*found[row : row + 1], width=wide, height=high)
        columns = {"truth": np.full((high, wide, 3), 255, np.uint8) if image is None else picture(image)}
        columns |= {head: frames_of(own, Look(name), view)[0] for head, own in shelves.items()}
        whole = Image.new("RGB", (len(columns) * wide, high + 2 * HEADER), "white")
        for k, (head, column) in enumerate(columns.items()):
            write(whole, head, k * wide, 0, wide)
            whole.paste(Image.fromarray(column), (k * wide, HEADER))
        write(whole, name, 0, high + HEADER, whole.width)
        return np.asarray(whole)

    about = {"kind": "compare", "scenes": identity(shelf, names), "frames": frames, "data": str(truth.root)}
    about["baseline"] = identity(baseline, names) if baseline is not None else None
    return Film(len(frames), paint, about)
