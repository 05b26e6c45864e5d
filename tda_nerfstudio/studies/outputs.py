"""Kinds of files that commands write."""

from __future__ import annotations

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
PAGES = (".html", ".htm")
PLOTS = (".png", ".svg", ".pdf")
