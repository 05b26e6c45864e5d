"""`tda render`: which film is asked for, checked before any frame is painted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tda_nerfstudio.base.checks import require_counts, require_output
from tda_nerfstudio.base.errors import TdaError, suggest
from tda_nerfstudio.core.showing import OUTPUTS
from tda_nerfstudio.core.view import View, image_size
from tda_nerfstudio.looking.choosing import choose, sound
from tda_nerfstudio.looking.shelf import Shelf
from tda_nerfstudio.looking.source import StoreSource
from tda_nerfstudio.looking.truth import Truth
from tda_nerfstudio.looking.videos import films
from tda_nerfstudio.looking.videos.cameras import FPS, read_camera_path
from tda_nerfstudio.looking.videos.film import Film
from tda_nerfstudio.looking.videos.reel import check_folder, make
from tda_nerfstudio.store.store import Store

VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".gif")
KINDS = ("wall", "compare", "morph")


@dataclass(frozen=True)
class Options:
    """What a film shows, through which cameras, and where it goes."""

    output: Path
    scenes: tuple[str, ...] = ()
    """Names, globs or ranges; 'all' is all of them, and the first is the default."""
    wall: bool = False
    compare: bool = False
    morph: bool = False
    labels: bool = False
    frames: int = 96
    fps: int | None = None
    elevation: float = 18.0
    size: tuple[int, ...] = ()
    """Width and height in pixels, or one number for both."""
    names: tuple[str, ...] = ("rgb",)
    camera_path: Path | None = None

    def check(self) -> None:
        """Raise TdaError for what cannot be shown or written."""
        for name in self.names or ("none",):
            if name not in OUTPUTS:
                raise TdaError(
                    f"There is no output '{name}'. Scenes have {', '.join(OUTPUTS)}.{suggest(name, OUTPUTS)}"
                )
        require_counts(frames=self.frames, fps=self.fps, size=min(self.size, default=None))
        if len(self.size) > 2:
            raise TdaError("--size takes a width and a height in pixels, or one number for both.")
        if not math.isfinite(self.elevation):
            raise TdaError(f"--elevation is {self.elevation}. Give a finite number of degrees above the horizon.")
        chosen = [f"--{kind}" for kind in KINDS if getattr(self, kind)]
        if len(chosen) > 1:
            raise TdaError(f"{' and '.join(chosen)} are different films. Choose one.")
        if chosen and self.names != ("rgb",):
            raise TdaError(f"{chosen[0]} shows decoded images. Leave --output-names out.")
        if self.labels and not self.wall:
            raise TdaError("--labels writes names below the tiles of a --wall. Add that, or leave it out.")
        if self.compare and (self.camera_path or self.size):
            raise TdaError("--compare goes through the cameras of the images. Leave --camera-path and --size out.")
        if self.output.suffix or self.output.name in ("", "."):
            require_output(self.output, VIDEOS)
        else:
            check_folder(self.output)
            require_output(self.output / "frame.png", (".png",))


def render(store: Store, options: Options, truth: Truth | None = None, baseline: Store | None = None) -> Path:
    """Render a film of a store's scenes; return where it is. The same call goes on after an interruption.

    Damaged scenes are named and left out. Raises TdaError for what cannot be shown, before any frame is painted.
    """
    options.check()
    view, fps = _cameras(store, options)
    names = sound(store, choose(store, options.scenes, _by_default(store, options)))
    shelf = Shelf(StoreSource(store), truth)
    film = _film(shelf, names, view, options, None if baseline is None else Shelf(StoreSource(baseline)))
    options.output.absolute().parent.mkdir(parents=True, exist_ok=True)
    return make(film, options.output, options.fps or fps)


def _film(shelf: Shelf, names: Sequence[str], view: View, options: Options, baseline: Shelf | None) -> Film:
    if options.compare:
        return films.beside_truth(shelf, names, baseline)
    if options.morph:
        return films.morph(shelf, names, view)
    if options.wall:
        size = options.size or films.tile_size(len(names), view.width or 1, view.height or 1)
        return films.wall(shelf, names, view.resized(*sides(size)), options.labels)
    with_alpha = not options.output.suffix
    outputs = tuple("rgba" if name == "rgb" and with_alpha else name for name in options.names)
    if with_alpha and len(outputs) > 1:
        raise TdaError(
            "A folder of frames has one output, since decoded images have alpha. Give one of --output-names."
        )
    return films.one_after_the_other(shelf, names, view, outputs)


def sides(size: tuple[int, ...]) -> tuple[int, int]:
    """Read --size: one number is for both sides."""
    return image_size(size * 2 if len(size) == 1 else size)


def _cameras(store: Store, options: Options) -> tuple[View, int]:
    """Place cameras: on a full turn around the box, or on the path that was drawn."""
    if not len(store):
        raise TdaError(f"{store.folder} holds no scenes yet. Learn some: ns-train tda-scenes --pipeline.store ...")
    view, fps = store.orbit(options.frames, options.elevation), FPS
    if options.camera_path is not None:
        view, fps = read_camera_path(options.camera_path)
    if options.size and not options.wall:
        view = view.resized(*sides(options.size))
    return view, fps


def _by_default(store: Store, options: Options) -> list[str]:
    names = store.names
    return names if options.wall else names[:2] if options.morph else names[:1]
