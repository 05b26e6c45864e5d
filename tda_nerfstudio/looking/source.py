"""What scenes can be looked at in: a store, or anything else that offers the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

from tda_nerfstudio.store.learnt_scene import LearntScene, Record
from tda_nerfstudio.store.manifest import DefaultCamera
from tda_nerfstudio.store.shared_parts import SharedParts
from tda_nerfstudio.store.store import Store


class Source(Protocol):
    """Scenes of one space."""

    @property
    def title(self) -> str:
        """Say in a few words what this is."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """Names of the scenes, sorted."""
        ...

    @property
    def camera(self) -> DefaultCamera:
        """How scenes are shown by default."""
        ...

    @property
    def parts(self) -> SharedParts:
        """What scenes share, on the device that renders."""
        ...

    @property
    def state(self) -> int:
        """A number that changes whenever scenes do."""
        ...

    def learnt(self, name: str) -> LearntScene:
        """Give a scene's own tensors. Raises StoreError for an unknown or damaged one."""
        ...

    def record(self, name: str) -> Record:
        """Give what is known of a scene besides."""
        ...

    def facts(self, name: str) -> Mapping[str, int]:
        """Give a scene's `written` [ns since 1970] and `bytes`, as far as they are known."""
        ...

    def aside(self) -> Mapping[str, str]:
        """Give the reason for each scene that could not be learnt."""
        ...


class StoreSource:
    """A store as it was when it was opened."""

    state = 0

    def __init__(self, store: Store) -> None:
        self.store, folder = store, store.folder
        self.title = f"{folder.parent.name}/{folder.name}" if folder.parent.name else folder.name
        self.names, self.camera = store.names, store.manifest.camera

    @property
    def parts(self) -> SharedParts:
        """The shared parts on the store's device."""
        return self._parts

    @cached_property
    def _parts(self) -> SharedParts:
        return self.store.shared.to(self.store.device)

    def learnt(self, name: str) -> LearntScene:
        """Read a scene."""
        return self.store.file(name).load(name)

    def record(self, name: str) -> Record:
        """Give its record."""
        return self.store.record(name)

    def facts(self, name: str) -> Mapping[str, int]:
        """Give what its file tells."""
        file = self.store.file(name)
        return {"written": file.written, "bytes": int(file.bytes_a_scene)}

    @cached_property
    def _aside(self) -> Mapping[str, str]:
        return self.store.aside()

    def aside(self) -> Mapping[str, str]:
        """Read the notes, once."""
        return self._aside
