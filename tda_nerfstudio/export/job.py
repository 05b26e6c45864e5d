"""Exporting scenes of a store, one after the other: what all kinds of export have in common."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from tda_nerfstudio import __version__
from tda_nerfstudio.base.errors import StoreError, TdaError, counted
from tda_nerfstudio.base.progress import track
from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.export.folder import Folder
from tda_nerfstudio.export.images import ImageOptions, make_images
from tda_nerfstudio.export.made import Made
from tda_nerfstudio.export.mesh.make_mesh import MeshOptions, make_mesh
from tda_nerfstudio.export.points import PointOptions, make_points
from tda_nerfstudio.export.splats.make_splats import SplatOptions, make_splats
from tda_nerfstudio.export.subject import Subject
from tda_nerfstudio.looking.choosing import choose
from tda_nerfstudio.looking.truth import Truth
from tda_nerfstudio.store.store import Store


class Options(Protocol):
    """What a kind of export can be told."""

    def check(self) -> None:
        """Raise TdaError for what cannot be made."""
        ...

    def names(self, scene: str) -> list[str]:
        """Name the files of a scene, or their folder, in the folder of exports."""
        ...


KINDS: dict[type, tuple[str, Callable[[Subject, Any], Made]]] = {
    SplatOptions: ("splats", make_splats),
    MeshOptions: ("mesh", make_mesh),
    PointOptions: ("points", make_points),
    ImageOptions: ("images", make_images),
}
"""What each kind is called, and what makes it."""
BYTES, SECONDS = "bytes", "seconds"


@dataclass(frozen=True)
class Exported:
    """What an export came to."""

    figures: dict[str, dict[str, float]]
    """Of each scene, by heading; also of those that were there already."""
    failed: dict[str, str]
    """Why others could not be exported."""
    new: int
    """Scenes that were made now."""


def export(
    store: Store,
    out: Path,
    options: Options,
    scenes: Sequence[str] = (),
    truth: Truth | None = None,
    decoded: bool = False,
    overwrite: bool = False,
) -> Exported:
    """Export scenes of a store to files in a folder; 'all' or nothing are all scenes.

    They are made from the scenes' images where these are at hand, unless `decoded` says that these only score them. A
    scene that cannot be exported is named, and the others go on. After an interruption the same call goes on: scenes
    whose files were made with the same options are there. Raises TdaError, before the work, for options that cannot
    be, unknown scenes, and files in the way; and where no scene can be exported.
    """
    options.check()
    if not len(store):
        raise TdaError(f"{store.folder} holds no scenes yet. Learn some: ns-train tda-scenes --pipeline.store ...")
    names = choose(store, scenes, store.names)
    kind, make = KINDS[type(options)]
    settings = {"options": _plain(options), "decoded": decoded, "version": __version__}
    settings["data"] = None if truth is None else truth.root.absolute().name  # wherever it is
    folder = Folder(out, "-".join([kind, *getattr(options, "formats", ())]), settings)
    for damage in store.damaged:
        CONSOLE.print(f"Left out: {damage}", style="yellow", markup=False, soft_wrap=True)
    figures = _there(folder, store, names)
    waiting = [name for name in names if name not in figures]
    folder.claim({name: options.names(name) for name in waiting}, overwrite)
    _ = store.shared  # raises for damaged ones
    failed: dict[str, str] = {}
    for name in track(waiting, f"Exporting {kind}"):
        start = time.monotonic()
        try:
            source, made = _source(store, name), make(Subject.of(store, name, truth, decoded), options)
        except Exception as error:  # whatever it is, the others can be exported
            failed[name] = str(error) if isinstance(error, TdaError) else f"{type(error).__name__}: {error}"
            CONSOLE.print(f"Left out: '{name}'. {failed[name]}", style="yellow", markup=False, soft_wrap=True)
            continue
        made.figures.update({BYTES: made.size, SECONDS: round(time.monotonic() - start, 2)})
        folder.put(name, source, made)
        figures[name] = dict(made.figures)
    if not figures:
        raise StoreError(
            f"None of {counted(len(names), 'scene')} could be exported. The first: {next(iter(failed.values()))}"
        )
    return Exported({name: figures[name] for name in names if name in figures}, failed, len(waiting) - len(failed))


def _there(folder: Folder, store: Store, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Give the figures of scenes that are exported already; one that cannot be read is named when its turn comes."""
    found = {}
    for name in names:
        with suppress(TdaError):
            figures = folder.figures(name, partial(_source, store, name))
            found |= {} if figures is None else {name: figures}
    return found


def _source(store: Store, name: str) -> str:
    """Tell a scene by its tensors and those that it shares, whatever file or store they are in."""
    learnt = store.file(name).load(name)
    digest = hashlib.sha256(store.manifest.hash.encode())
    for tensor in (learnt.micro, learnt.weights, learnt.occupied):
        digest.update(b"" if tensor is None else tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def _plain(options: Any) -> Any:
    """Give options as JSON has them, so that they equal what is read again."""
    return json.loads(json.dumps(asdict(options)))
