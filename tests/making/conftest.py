"""Models of a few triangles, made by `make_models`, and scenes on disk."""

from __future__ import annotations

from scenes_on_disk import scene_at  # noqa: F401 (a fixture)
