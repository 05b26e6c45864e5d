"""The pages of a gallery, filled in from what is known of its scenes."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from typing import Any

from tda_nerfstudio.base.templates import fill_in
from tda_nerfstudio.core.metrics import METRICS, stored_scores
from tda_nerfstudio.looking.gallery.addresses import address
from tda_nerfstudio.looking.gallery.entries import Entry
from tda_nerfstudio.looking.gallery.exports import Export
from tda_nerfstudio.looking.gallery.options import Sheet
from tda_nerfstudio.looking.gallery.rendering import Made

PACKAGE = "tda_nerfstudio.looking.gallery"
LONGEST = 1000
"""Characters of a reason or a value on a page."""
SHORT = 160
"""Characters of a reason in the list of all scenes."""
MOST_FACTS = 24
STATES = ("learnt", "aside", "damaged")
"""States of scenes in the list, by number: put aside counts where there is no picture for that reason."""


def list_script(entries: Sequence[Entry], made: Sequence[Made]) -> str:
    """Write the script that gives the list of scenes to the page, as pages on disk cannot read other files."""
    rows = []
    for entry, one in zip(entries, made, strict=True):
        state = "damaged" if one.damage else "learnt" if entry.record else "aside"
        note, quality = (entry.reason or one.damage)[:SHORT], score(entry, "psnr")
        written = None if entry.written is None else entry.written // 10**6
        quality = None if quality is None else round(quality, 2)
        rows.append([entry.name, entry.stem, one.key, quality, written, note, STATES.index(state)])
    return "".join(("const SCENES = [\n", ",\n".join(map(_script_text, rows)), "\n];\n"))


def index_page(title: str, entries: Sequence[Entry], sheet: Sheet, problems: Sequence[str]) -> str:
    """Fill in the page that lists all scenes."""
    links = [(entry.name, address(f"scenes/{entry.stem}.html")) for entry in entries]
    shown = [text[:LONGEST] for text in problems[:MOST_FACTS]]
    aside = sum(bool(entry.reason) for entry in entries)
    content = {"sheet": sheet, "links": links, "problems": shown, "root": "", "aside": aside, "note": about(entries)}
    return fill_in(PACKAGE, "index.html.j2", title=title, **content)


def scene_page(
    title: str, entries: Sequence[Entry], at: int, made: Made, sheet: Sheet, exports: Sequence[Export]
) -> str:
    """Fill in the page of the scene at a place of the list."""
    entry = entries[at]
    names = [None if one is None else (one.name, address(f"{one.stem}.html")) for one in _beside(entries, at)]
    content = {
        "name": entry.name,
        "number": at + 1,
        "count": len(entries),
        "before": names[0],
        "after": names[1],
        "pictures": [address(name) for name in made.files(entry.stem)],
        "views": made.views,
        "facts": facts(entry, made),
        "reason": entry.reason[:LONGEST],
        "damage": made.damage[:LONGEST],
        "unfinished": entry.record is not None and not entry.record.finished,
        "exports": [(export.kind, address(export.path), amount(export.size)) for export in exports],
        "sheet": sheet,
        "root": "../",
    }
    return fill_in(PACKAGE, "scene.html.j2", title=title, **content)


def sizes_style(sheet: Sheet) -> str:
    """Write the style sheet that says how frames lie in sheets."""
    return fill_in(PACKAGE, "sizes.css.j2", sheet=sheet)


def facts(entry: Entry, made: Made) -> list[tuple[str, str]]:
    """Say what is known of a scene, in words: the scores that its record keeps, sizes, and where it comes from."""
    found = []
    for key in stored_scores():
        value, metric = score(entry, key), METRICS[key.removeprefix("ceiling_")]
        if value is not None:
            what = "Ceiling: the autoencoder alone" if key.startswith("ceiling_") else metric.title
            found.append((what[:1].upper() + what[1:], f"{value:.{metric.decimals}f} {metric.unit}".strip()))
    if made.counts is not None:
        found.append(("Views", f"{made.counts[0]} to learn from, {made.counts[1]} held out"))
    if entry.size is not None and entry.written is not None:
        found.append(("Size in the store", amount(entry.size)))
        found.append(("Stored", _date(entry.written, "%Y-%m-%d %H:%M UTC")))
    provenance = entry.record.provenance if entry.record else {}
    for key, value in list(provenance.items())[:MOST_FACTS]:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        found.append((f"Provenance: {str(key)[:80]}", text[:LONGEST]))
    return found


def score(entry: Entry, key: str) -> float | None:
    """Return a score of a scene's record, or None if it has none that is a finite number."""
    value = entry.record.metrics.get(key) if entry.record else None
    usable = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9
    return float(value) if usable and math.isfinite(value) else None  # type: ignore[arg-type]


def about(entries: Sequence[Entry]) -> str:
    """Say what the whole store is like: mean PSNR, and bytes a scene."""
    known = [value for entry in entries if (value := score(entry, "psnr")) is not None]
    sizes = [entry.size for entry in entries if entry.size is not None]
    words = [f"PSNR {sum(known) / len(known):.2f} dB on average"] if known else []
    words += [f"{amount(sum(sizes) / len(sizes))} a scene in the store"] if sizes else []
    return ", ".join(words)


def amount(size: float) -> str:
    """Write a number of bytes: "812 bytes", "66 kB", "1.2 MB"."""
    if size < 1000:
        return f"{size:.0f} bytes"
    return f"{size / 1e3:.0f} kB" if size < 1e6 else f"{size / 1e6:.1f} MB"


def _beside(entries: Sequence[Entry], at: int) -> tuple[Entry | None, Entry | None]:
    return (entries[at - 1] if at else None), (entries[at + 1] if at + 1 < len(entries) else None)


def _date(written: int, form: str) -> str:
    try:
        return time.strftime(form, time.gmtime(written // 10**9))
    except (ValueError, OverflowError, OSError):  # no such year
        return "–"


def _script_text(content: Any) -> str:
    """Write JSON that no page takes for markup."""
    text = json.dumps(content, separators=(",", ":"))
    return text.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&'"})
