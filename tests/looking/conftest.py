"""A small store, to be looked at."""

from __future__ import annotations

from small_store import codec, folder, learnt, parts, shared_config, store, table  # noqa: F401 (fixtures)
