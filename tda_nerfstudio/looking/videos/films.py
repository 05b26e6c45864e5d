"""The films: scenes one after the other, a wall of them, one beside its truth, and one that turns into others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageDraw

from tda_nerfstudio.base.errors import TdaError, listed, suggest
from tda_nerfstudio.core.camera_ring import order_by_azimuth
from tda_nerfstudio.core.palette import space_palette
from tda_nerfstudio.core.showing import OneScene, show
from tda_nerfstudio.core.view import View
from tda_nerfstudio.looking.blend import blend
from tda_nerfstudio.looking.colouring import depth_colours, picture
from tda_nerfstudio.looking.truth import Truth
from tda_nerfstudio.looking.videos.film import Film, Frame, identity, numbers
from tda_nerfstudio.store.store import Store
from tda_nerfstudio.store.stored_scene import sight

SIGHTS_KEPT = 128
"""Scenes of a wall that stay in memory, 0.8 MB each with usual sizes."""
WIDEST = 1920
"""Pixels of a wall, unless its tiles have a size that was asked for."""
HEADER, LETTER = 18, 6
"""Pixels of a line of text, and of a letter."""
REST = 0.15
"""Share of the way between two scenes of a morph that it rests at each."""


class Room:
    """A store's scenes, ready to be painted on its device."""

    def __init__(self, store: Store) -> None:
        self.store, self.parts = store, store.shared.to(store.device)
        self.palette = space_palette(self.parts.scenes, self.parts.autoencoder, self.parts.weights)
        self.scene = lru_cache(SIGHTS_KEPT)(self._read)

    def _read(self, name: str) -> OneScene:
        return sight(self.parts, self.store.file(name).load(name))

    def paint(self, scene: OneScene, view: View, names: Sequence[str] = ("rgb",)) -> list[Frame]:
        """Paint outputs of a scene through one camera; 'rgba' is the decoded image with the scene's opacity."""
        assert view.width is not None and view.height is not None
        parts = self.parts
        wanted = dict.fromkeys(
            part for name in names for part in (("rgb", "accumulation") if name == "rgba" else (name,))
        )
        given = (
            view.to(scene[1].device),
            view.height,
            view.width,
            parts.config.sampling,
            self.store.manifest.camera.focal,
        )
        shown = show(*scene, *given, tuple(wanted), self.palette)
        frames = []
        for name in names:
            if name == "rgba":
                frames.append(with_alpha(shown["rgb"][0], shown["accumulation"][0]))
            elif name == "depth":
                box, eye = parts.scenes.box.cpu(), view.c2w[0, :, 3].cpu()
                middle, reach = float((eye - box.mean(0)).norm()), float((box[1] - box[0]).norm()) / 2
                frames.append(picture(depth_colours(shown["depth"][0], max(middle - reach, 0), middle + reach)))
            else:
                frames.append(picture(shown[name][0]))
        return frames


def with_alpha(image: torch.Tensor, opacity: torch.Tensor) -> Frame:
    """Take white [3, h, w] off an image by its opacity [1, h, w]: RGBA, whose colours are not multiplied by alpha."""
    alpha = (opacity * 255).round().clamp(0, 255) / 255
    colour = torch.where(alpha > 0, (image - (1 - alpha)) / alpha.clamp(min=1 / 255), torch.ones_like(image))
    return np.concatenate([picture(colour), picture(alpha)[..., :1]], axis=2)


def one_after_the_other(store: Store, names: Sequence[str], view: View, outputs: Sequence[str]) -> Film:
    """Show each scene through all cameras, outputs side by side."""
    room, cameras = Room(store), len(view)

    def paint(i: int) -> Frame:
        scene = room.scene(names[i // cameras])
        return np.concatenate(room.paint(scene, view[i % cameras : i % cameras + 1], outputs), axis=1)

    about = {"kind": "turn", "scenes": identity(store, names), "view": numbers(view), "outputs": list(outputs)}
    return Film(cameras * len(names), paint, about)


def wall(store: Store, names: Sequence[str], view: View, labels: bool) -> Film:
    """Show all scenes together, in a grid about as wide as 16:9, through the same cameras."""
    assert view.width is not None and view.height is not None
    room, (wide, high) = Room(store), (view.width, view.height + HEADER * labels)
    across = min(max(round(math.sqrt(len(names) * 16 / 9 * high / wide)), 1), len(names))
    down = math.ceil(len(names) / across)

    def paint(i: int) -> Frame:
        whole = Image.new("RGB", (across * wide, down * high), "white")
        for k, name in enumerate(names):
            (tile,) = room.paint(room.scene(name), view[i : i + 1])
            left, top = k % across * wide, k // across * high
            whole.paste(Image.fromarray(tile), (left, top))
            if labels:
                write(whole, name, left, top + high - HEADER, wide)
        return np.asarray(whole)

    about = {"kind": "wall", "scenes": identity(store, names), "view": numbers(view), "labels": labels}
    return Film(len(view), paint, about)


def tile_size(names: Sequence[str], width: int, height: int) -> tuple[int, int]:
    """Choose the size of a wall's tiles: that of the images, or less, so that the wall is at most WIDEST wide."""
    across = max(round(math.sqrt(len(names) * 16 / 9 * height / width)), 1)
    scale = min(1.0, WIDEST / across / width)
    return max(int(width * scale), 1), max(int(height * scale), 1)


def morph(store: Store, names: Sequence[str], view: View) -> Film:
    """Turn one scene into the next, and so on to the last, with a short rest at each, while the camera moves on."""
    if len(names) < 2:
        raise TdaError("--morph goes through at least two scenes. Name them in order: --scene A B C.")
    room, way = Room(store), len(names) - 1
    learnt = lru_cache(2)(lambda name: store.file(name).load(name))

    def paint(i: int) -> Frame:
        at = i / max(len(view) - 1, 1) * way
        leg = min(int(at), way - 1)
        share = eased(at - leg)
        mixed = blend(learnt(names[leg]), learnt(names[leg + 1]), share)
        return room.paint(sight(room.parts, mixed), view[i : i + 1])[0]

    return Film(len(view), paint, {"kind": "morph", "scenes": identity(store, names), "view": numbers(view)})


def eased(way: float) -> float:
    """Map the way between two scenes, in [0, 1], to the share of the second: slow at both ends, where it rests."""
    moved = min(max((way - REST) / (1 - 2 * REST), 0.0), 1.0)
    return (1 - math.cos(math.pi * moved)) / 2


def beside_truth(store: Store, names: Sequence[str], truth: Truth | None, baseline: Store | None) -> Film:
    """Show scenes' images, what is decoded, and a baseline's, through the cameras of the images around the scene.

    Raises TdaError where images or scenes of the baseline are missing.
    """
    if truth is None:
        raise TdaError("--compare shows scenes beside their images, which are not at hand. Add --data ATLAS.")
    views = {name: truth.views(name) for name in names}
    if missing := [name for name, found in views.items() if found is None]:
        raise TdaError(f"The atlas {truth.root} lacks {listed(missing)}. Leave them out, or give their atlas: --data.")
    if baseline is not None and (missing := [name for name in names if name not in baseline]):
        more = suggest(missing[0], baseline)
        raise TdaError(
            f"The baseline {baseline.folder} lacks {listed(missing)}.{more} Learn them there, or leave them out."
        )
    rooms = [Room(store)] + ([Room(baseline)] if baseline is not None else [])
    heads = ["truth", "decoded", *(["baseline"] if baseline is not None else [])]
    centre = rooms[0].parts.scenes.box.mean(0).cpu()
    order = {name: order_by_azimuth(found.c2w, centre).tolist() for name, found in views.items() if found is not None}
    frames = [(name, row) for name in names for row in order[name]]

    def paint(i: int) -> Frame:
        name, row = frames[i]
        found = views[name]
        assert found is not None
        image = truth.image(found, row)
        wide, high = found.width, found.height
        columns = [picture(image) if image is not None else np.full((high, wide, 3), 255, np.uint8)]
        view = View(*found[row : row + 1], width=wide, height=high)
        columns += [room.paint(room.scene(name), view)[0] for room in rooms]
        whole = Image.new("RGB", (len(columns) * wide, high + 2 * HEADER), "white")
        for k, (head, column) in enumerate(zip(heads, columns, strict=True)):
            write(whole, head, k * wide, 0, wide)
            whole.paste(Image.fromarray(column), (k * wide, HEADER))
        write(whole, name, 0, high + HEADER, whole.width)
        return np.asarray(whole)

    about = {"kind": "compare", "scenes": identity(store, names), "frames": frames, "data": str(truth.root)}
    about["baseline"] = identity(baseline, names) if baseline is not None else None
    return Film(len(frames), paint, about)


def write(sheet: Image.Image, text: str, left: int, top: int, width: int) -> None:
    """Write a line of text into a place of so many pixels, cut where it is longer."""
    letters = max((width - 8) // LETTER, 1)
    short = text if len(text) <= letters else text[: max(letters - 3, 0)] + "..."[:letters]
    ImageDraw.Draw(sheet).text(
        (left + 4, top + 3), short.encode("latin-1", "replace").decode("latin-1"), fill=(60, 60, 60)
    )
