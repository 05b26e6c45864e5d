"""Render what a gallery shows of a scene, unless an earlier run has done it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from tda_nerfstudio import __version__
from tda_nerfstudio.atlas.posed import PosedImages, Scene
from tda_nerfstudio.base.errors import StoreError
from tda_nerfstudio.core.metrics import psnr
from tda_nerfstudio.looking.gallery.entries import Entry, without_folder
from tda_nerfstudio.looking.gallery.folder import MADE, PAGES, put, put_text
from tda_nerfstudio.looking.gallery.options import PAGE, Options, Sheet
from tda_nerfstudio.looking.gallery.pictures import beside_truth, encoded, sheet_of
from tda_nerfstudio.looking.truth import Truth
from tda_nerfstudio.store.store import Store
from tda_nerfstudio.store.stored_scene import StoredScene

VIEW_WIDTH = 192
"""Most pixels of an image's width on a scene's page."""
ABOVE = 40.0
"""Degrees above the horizon of the views that are shown where there is no truth."""


@dataclass(frozen=True)
class Shown:
    """A view on a scene's page: `label` says which; beside its truth, with the PSNR in dB, where that is known."""

    label: str
    psnr: float | None = None


@dataclass(frozen=True)
class Made:
    """What was rendered of a scene."""

    key: str = ""
    """Of the scene's content and all that its pictures depend on; part of their names. "" where there are none."""
    views: tuple[Shown, ...] = ()
    counts: tuple[int, int] | None = None
    """Training views and held-out views in the atlas."""
    damage: str = ""
    """Why there are no pictures, of a scene that should have some."""
    new: bool = False
    """Whether it was rendered just now."""

    def files(self, stem: str) -> list[str]:
        """Name the pictures: the sheet, then one for each view."""
        names = [f"{stem}.{self.key}.webp", *(f"{stem}.{self.key}.{i}.webp" for i in range(len(self.views)))]
        return names if self.key else []


@dataclass(frozen=True)
class Studio:
    """Makes pictures of a store's scenes in a gallery's folder."""

    store: Store
    truth: Truth | None
    options: Options
    sheet: Sheet
    out: Path

    def make(self, entry: Entry) -> Made:
        """Render a scene, or find what was made of it; a scene that is damaged is told by `damage`.

        Raises TdaError where nothing can be written.
        """
        if entry.record is None:
            return Made()
        truth = self.truth.scene(entry.name) if self.truth else None
        made = Made(self._key(entry, truth), counts=(len(truth.train), len(truth.test)) if truth else None)
        note = self.out / MADE / f"{entry.stem}.json"
        known = _read(note)
        pictures = [] if known is None else [self.out / PAGES / name for name in known.files(entry.stem)]
        if known is not None and known.key == made.key and all(path.is_file() for path in pictures):
            return known
        try:
            made, pictures = self._render(self.store[entry.name], made, truth)
        except StoreError as error:
            return Made(damage=without_folder(error, self.store))
        for name, picture in zip(made.files(entry.stem), pictures, strict=True):
            put(self.out / PAGES / name, picture)
        put_text(note, json.dumps(asdict(made)))  # last: it says that the pictures are there
        return replace(made, new=True)

    def _key(self, entry: Entry, truth: Scene | None) -> str:
        """Hash all that a scene's pictures depend on."""
        content = [__version__, entry.name, entry.source, asdict(self.store.manifest.camera), asdict(self.options)]
        if truth is not None:
            pictures = [*truth.test.pictures, *truth.train.pictures]
            files = [path for picture in pictures for path in (picture.path, picture.mask) if path]
            content.append([[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files])
        return hashlib.sha256(json.dumps(content).encode("utf-8", "replace")).hexdigest()[:12]

    def _render(self, scene: StoredScene, made: Made, truth: Scene | None) -> tuple[Made, list[bytes]]:
        """Render a scene: what is said of its views, and its pictures, encoded."""
        budget = self.options.kilobytes * 1000 - PAGE
        quality, few = self.options.quality, budget * 2 // 5 // self.options.views
        turn = scene.render(self.store.orbit(self.sheet.frames, size=(self.sheet.width, self.sheet.height)))
        views, strips = [], []
        for shown, strip, images in self._views(scene, truth):
            views.append(shown)
            strips.append(encoded(strip, quality, few, images * VIEW_WIDTH))
        sheet = encoded(sheet_of(turn, self.sheet.columns), quality, budget - sum(map(len, strips)))
        return replace(made, views=tuple(views)), [sheet, *strips]

    def _views(self, scene: StoredScene, truth: Scene | None) -> Iterator[tuple[Shown, np.ndarray, int]]:
        """Show some views: each as pixels with what is said of it, and how many images stand side by side."""
        found = False
        if truth is not None and self.truth is not None:
            posed, kind = (truth.test, "Held-out view") if len(truth.test) else (truth.train, "Training view")
            for row in _spread(len(posed), self.options.views):
                own: PosedImages = posed[[row]]
                image = self.truth.image(own, 0)
                if image is not None:
                    found, decoded = True, scene.render(own)
                    shown = Shown(f"{kind} {row + 1} of {len(posed)}", round(float(psnr(decoded, image[None])), 2))
                    yield shown, beside_truth(image, decoded[0]), 3
        if not found:
            count = self.options.views
            for i, image in enumerate(scene.render(self.store.orbit(count, ABOVE))):
                yield Shown(f"From {360 * i // count}°, {ABOVE:.0f}° above the horizon"), sheet_of(image[None], 1), 1


def _spread(count: int, most: int) -> list[int]:
    """Choose at most `most` of `count` rows, spread evenly."""
    return sorted({round(row) for row in np.linspace(0, count - 1, min(most, count)).tolist()})


def _read(note: Path) -> Made | None:
    """Read what an earlier run has noted; None where there is nothing that can be read."""
    try:
        content = json.loads(note.read_bytes())
        views, counts = tuple(Shown(**view) for view in content["views"]), content["counts"]
        return Made(content["key"], views, tuple(counts) if counts else None)
    except (OSError, ValueError, KeyError, TypeError):
        return None
