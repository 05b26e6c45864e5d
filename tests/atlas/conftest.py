"""Scenes on disk, in any layout."""

from __future__ import annotations

from scenes_on_disk import scene_at  # noqa: F401 (a fixture)
