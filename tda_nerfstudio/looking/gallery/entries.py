"""What a gallery lists: the scenes of a store, and those that were put aside."""

from __future__ import annotations

from dataclasses import dataclass

from tda_nerfstudio.base.errors import StoreError, TdaError
from tda_nerfstudio.looking.gallery.addresses import file_stem, in_order
from tda_nerfstudio.store.learnt_scene import Record
from tda_nerfstudio.store.store import Store


@dataclass(frozen=True)
class Entry:
    """A scene of a gallery."""

    name: str
    record: Record | None = None
    """None for a scene that was put aside and is not in the store."""
    source: str = ""
    """The file that holds it, which is named by its content."""
    written: int | None = None
    """When, in nanoseconds since 1970."""
    size: int | None = None
    """Its share of the file, in bytes."""
    reason: str = ""
    """Why it was put aside."""

    @property
    def stem(self) -> str:
        """The first part of its files' names."""
        return file_stem(self.name)


def list_entries(store: Store) -> tuple[list[Entry], list[str]]:
    """List what a gallery of a store shows, in the order of names, and what of the store cannot be read.

    Raises TdaError for a store without scenes.
    """
    problems = [without_folder(error, store) for error in store.damaged]
    try:
        aside = store.aside()
    except StoreError as error:
        aside, problems = {}, [*problems, without_folder(error, store)]
    if not len(store) and not aside:
        damaged = f" Of its files, {len(store.damaged)} cannot be read: {problems[0]}" if store.damaged else ""
        raise TdaError(
            f"{store.folder} holds no scenes: there is nothing to show. Learn some first (tda learn --store), or name"
            f" another store.{damaged}"
        )

    entries = [Entry(name, reason=reason) for name, reason in aside.items() if name not in store]
    for name in store:
        file = store.file(name)
        size, reason = round(file.bytes_a_scene), aside.get(name, "")
        entries.append(Entry(name, file.record(name), file.path.stem, file.written, size, reason))
    return sorted(entries, key=lambda entry: (in_order(entry.name), entry.name)), problems


def without_folder(error: Exception, store: Store) -> str:
    """Say what is wrong without the names of this machine's folders, as a gallery may be published."""
    return str(error).replace(f"{store.folder}/", "").replace(str(store.folder), "the store")
