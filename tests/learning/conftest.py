"""Tiny runs, made in this process."""

from __future__ import annotations

from tiny_runs import configure, learner, pipeline  # noqa: F401 (fixtures)
