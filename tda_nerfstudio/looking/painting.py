"""The picture of a look through a camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from tda_nerfstudio.base.errors import StoreError, TdaError
from tda_nerfstudio.core.showing import reconstruct
from tda_nerfstudio.core.view import View
from tda_nerfstudio.looking.colouring import error_colours, picture
from tda_nerfstudio.looking.lettering import INK, LINE, message, write
from tda_nerfstudio.looking.look import OF_TRUTH, Look
from tda_nerfstudio.looking.outputs import coloured_outputs
from tda_nerfstudio.looking.shelf import Shelf
from tda_nerfstudio.looking.truth import nearest

Picture = UInt8[np.ndarray, "height width 3"]


class Looked(NamedTuple):
    """A look at a shelf's scene, as somebody has it now."""

    shelf: Shelf
    look: Look
    quick: bool
    """While the camera moves."""


@torch.no_grad()
def paint(shelf: Shelf, look: Look, view: View, quick: bool = False) -> Picture:
    """Paint a look through one camera with a size. A `quick` picture is coarser and takes a fraction of the time.

    A scene that cannot be shown leaves a picture that says why.
    """
    width, height = view.width, view.height
    assert width is not None and height is not None
    if look.mode == "alone" or (look.mode in ("beside", "wipe") and look.other is None):
        return _one(shelf, look, view, quick, width, height)
    if look.mode == "wipe":
        line = min(max(round(look.split * width), 0), width)
        left, right = (_one(shelf, own, view, quick, width, height) for own in (look, _of_other(look)))
        halves = [half for half in (left[:, :line], right[:, line:]) if half.shape[1]]
    else:
        half = width // 2
        narrow = _narrowed(view, half)
        second = _of_other(look) if look.mode == "beside" else _of_truth(look, "truth")
        first = look if look.mode == "beside" else _of_truth(look, "decoded")
        halves = [_one(shelf, own, narrow, quick, half, height) for own in (first, second)]
    captions = [look.scene, (look.other or "") if look.mode != "truth" else "its image"]
    return _joined(halves, captions if len(halves) == 2 else [])


def _of_other(look: Look) -> Look:
    assert look.other is not None
    return Look(look.other, look.output, look.channel, parts=look.parts)


def _of_truth(look: Look, output: str) -> Look:
    return replace(look, output=output, mode="alone")


def _narrowed(view: View, half: int) -> View:
    """Fit what is in the middle of a picture into one of half its width."""
    width, height = view.width or 1, view.height or 1
    scale = min(1.0, half / min(width, height))
    cx, cy = half / 2 + (view.cx - width / 2) * scale, height / 2 + (view.cy - height / 2) * scale
    return View(view.c2w, view.fx * scale, view.fy * scale, cx, cy, width=half, height=height)


def _one(shelf: Shelf, look: Look, view: View, quick: bool, width: int, height: int) -> Picture:
    """Paint one scene at a size, or say why it cannot be shown."""
    try:
        if look.output in (*OF_TRUTH, "decoded"):
            return _fitted(_beside_truth(shelf, look, view), width, height)
        return _rendered(shelf, look, view, quick, width, height)
    except TdaError as error:
        return message(str(error), width, height)


def _rendered(shelf: Shelf, look: Look, view: View, quick: bool, width: int, height: int) -> Picture:
    sized = replace(view, width=width, height=height)
    if quick:
        half = (max(width // 2, 1), max(height // 2, 1))
        sized = replace(view.scaled(half[0] / width, half[1] / height), width=half[0], height=half[1])
    palette = shelf.palette(look) if look.output == "latent" else None
    shown = coloured_outputs(shelf.source, shelf.sight(look), sized, (look.output,), palette, quick)
    return picture(shown[look.output])


def _beside_truth(shelf: Shelf, look: Look, view: View) -> Float[Tensor, "3 h w"]:
    """Show a scene through the camera of its nearest image, or that image, or what lies between them.

    Raises StoreError where there is no such image.
    """
    views = None if shelf.truth is None else shelf.truth.views(look.scene)
    if shelf.truth is None or views is None:
        raise StoreError(
            f"The images of '{look.scene}' are not at hand. Say where its atlas is: tda view ... --data ATLAS"
        )
    row = nearest(views, view.c2w[0, :, 3])
    truth, parts = shelf.truth.image(views, row), shelf.source.parts
    if truth is None:
        raise StoreError(f"The image {views.paths[row].name} of '{look.scene}' cannot be read.")
    if look.output == "truth":
        return truth
    if look.output == "autoencoder":
        return reconstruct(parts.autoencoder, truth[None].to(parts.scenes.box.device))[1][0].cpu()
    camera = View(*views[row : row + 1], width=views.width, height=views.height)
    decoded = coloured_outputs(shelf.source, shelf.sight(look), camera, ("rgb",))["rgb"].cpu()
    return decoded if look.output == "decoded" else error_colours((decoded - truth).abs().mean(0, keepdim=True))


def _fitted(image: Float[Tensor, "3 h w"], width: int, height: int) -> Picture:
    """Enlarge an image to fit into a picture, with white around it."""
    own = Image.fromarray(picture(image))
    scale = min(width / own.width, height / own.height)
    own = own.resize((max(round(own.width * scale), 1), max(round(own.height * scale), 1)), Image.Resampling.BICUBIC)
    whole = Image.new("RGB", (width, height), "white")
    whole.paste(own, ((width - own.width) // 2, (height - own.height) // 2))
    return np.asarray(whole)


def _joined(halves: Sequence[Picture], captions: Sequence[str]) -> Picture:
    """Put pictures side by side, with a line between and names below."""
    sheet, left = Image.fromarray(np.concatenate(halves, 1)), 0
    for half, caption in zip(halves, captions, strict=False):
        if left:
            ImageDraw.Draw(sheet).line([(left, 0), (left, sheet.height)], fill=INK)
        write(sheet, caption, left, sheet.height - LINE - 4, half.shape[1])
        left += half.shape[1]
    return np.asarray(sheet)
