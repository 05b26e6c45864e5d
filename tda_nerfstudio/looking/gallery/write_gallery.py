"""Write a gallery: a folder of pages over a store of learnt scenes, which opens from disk and from any web server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tda_nerfstudio.base.places import is_remote
from tda_nerfstudio.base.progress import track
from tda_nerfstudio.looking.gallery import folder, pages
from tda_nerfstudio.looking.gallery.entries import Entry, list_entries
from tda_nerfstudio.looking.gallery.exports import find_exports
from tda_nerfstudio.looking.gallery.options import Options, Sheet
from tda_nerfstudio.looking.gallery.rendering import Made, Studio
from tda_nerfstudio.looking.truth import Truth
from tda_nerfstudio.store.store import Store

ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True)
class Written:
    """What was written."""

    index: Path
    """The page to open."""
    scenes: int
    rendered: int
    """Scenes that were rendered now; the others' pictures were there."""
    damaged: int
    unseen: int
    """Scenes without images in the atlas, where one was given."""
    bytes_a_scene: float
    """Pictures, page and its lines in lists."""


def write_gallery(store: Store, out: Path, data: Path | None = None, options: Options | None = None) -> Written:
    """Write a gallery of a store, or bring an earlier one up to date.

    Only scenes that are new or changed are rendered; pages of scenes that are gone are removed. After an interruption
    the same call goes on, and until it ends an earlier gallery stays as it was. With `data`, an atlas, views are shown
    beside their truth. Raises TdaError, before the work, for a store without scenes, a folder that is no gallery, and
    options that cannot be.
    """
    options = options or Options()
    options.check()
    camera = store.manifest.camera
    sheet = Sheet.of(options, camera.width, camera.height)
    entries, problems = list_entries(store)
    truth = None if data is None else Truth(data, camera.width, camera.height)
    if truth is not None:
        _ = truth.folders  # raises for a folder without scenes
    _ = store.shared  # raises for damaged ones
    folder.claim(out, store.manifest.hash)
    studio = Studio(store, truth, options, sheet, out)
    made = [studio.make(entry) for entry in track(entries, "Rendering scenes")]
    _write_pages(_title(store.folder), entries, made, sheet, problems, store, out)
    sizes = sum(path.stat().st_size for path in (out / folder.PAGES).iterdir())
    lists = sum((out / name).stat().st_size for name in ("index.html", "scenes.js"))
    new, damaged = sum(one.new for one in made), sum(bool(one.damage) for one in made)
    unseen = sum(one.key != "" and one.counts is None for one in made) if truth else 0
    return Written(out / "index.html", len(entries), new, damaged, unseen, (sizes + lists) / len(entries))


def _title(folder: Path) -> str:
    """Call a store by its folder's name, or a run's store by the run's."""
    full = folder if is_remote(folder) else folder.absolute()
    return full.parent.name if full.name == "store" and full.parent.name else full.name


def _write_pages(
    title: str,
    entries: list[Entry],
    made: list[Made],
    sheet: Sheet,
    problems: list[str],
    store: Store,
    out: Path,
) -> None:
    """Write all pages, then what they are reached from, and remove what they no longer lead to."""
    exports = find_exports(store.folder, out, out / folder.PAGES)
    keep = set()
    for at, (entry, one) in enumerate(zip(track(entries, "Writing pages"), made, strict=True)):
        page = f"{entry.stem}.html"
        content = pages.scene_page(title, entries, at, one, sheet, exports.get(entry.name, ()))
        folder.put_text(out / folder.PAGES / page, content)
        keep |= {page, *one.files(entry.stem)}
    for asset in sorted(ASSETS.iterdir()):
        folder.put(out / "assets" / asset.name, asset.read_bytes())
    folder.put_text(out / "assets/sizes.css", pages.sizes_style(sheet))
    folder.put_text(out / "scenes.js", pages.list_script(entries, made))
    folder.put_text(out / "index.html", pages.index_page(title, entries, sheet, problems))
    folder.sweep(out / folder.PAGES, keep)
    folder.sweep(out / folder.MADE, {f"{entry.stem}.json" for entry, one in zip(entries, made, strict=True) if one.key})
