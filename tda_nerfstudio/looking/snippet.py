"""Python that makes the picture that somebody looks at."""

from __future__ import annotations

from dataclasses import fields

from tda_nerfstudio.core.view import View
from tda_nerfstudio.looking.look import Look
from tda_nerfstudio.looking.shelf import Shelf
from tda_nerfstudio.looking.source import StoreSource


def snippet(shelf: Shelf, look: Look, view: View) -> str:
    """Write code that paints a look through a camera and saves the picture."""
    source = shelf.source
    folder = str(source.store.folder.absolute()) if isinstance(source, StoreSource) else "STORE"
    pose = [[round(value, 6) for value in row] for row in view.c2w[0].tolist()]
    lens = ", ".join(f"{float(part[0]):.6g}" for part in (view.fx, view.fy, view.cx, view.cy))
    usual = Look(look.scene)
    chosen = {one.name: getattr(look, one.name) for one in fields(Look)}
    words = [repr(look.scene)] + [f"{k}={v!r}" for k, v in chosen.items() if v != getattr(usual, k)]
    lines = ["from PIL import Image", ""]
    lines += ["from tda_nerfstudio.core.view import View", "from tda_nerfstudio.looking.look import Look"]
    lines += ["from tda_nerfstudio.looking.painting import paint", "from tda_nerfstudio.looking.shelf import Shelf"]
    lines += ["from tda_nerfstudio.looking.source import StoreSource", "from tda_nerfstudio.store.store import Store"]
    truth = ""
    if shelf.truth is not None:
        lines.insert(-1, "from tda_nerfstudio.looking.truth import Truth")
        truth = f", Truth(Path({str(shelf.truth.root)!r}), {shelf.truth.width}, {shelf.truth.height})"
        lines[:0] = ["from pathlib import Path", ""]
    lines += ["", f"shelf = Shelf(StoreSource(Store({folder!r})){truth})"]
    lines += [f"view = View.of({pose}, {lens}, width={view.width}, height={view.height})"]
    lines += [f"look = Look({', '.join(words)})"]
    lines += ['Image.fromarray(paint(shelf, look, view)).save("view.png")']
    return "\n".join(lines)
