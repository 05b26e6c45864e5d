"""Texts for viser's panel, which reads Markdown with JSX in it: no name may be read as such."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tda_nerfstudio.looking.shelf import Component

LONGEST = 300
"""Letters of a value on a card."""


def plain(text: object) -> str:
    """Write a text so that it is shown letter by letter, whatever it holds."""
    return "".join(one if one.isalnum() or one == " " else f"&#{ord(one)};" for one in str(text) if one.isprintable())


def card(name: str, facts: Mapping[str, Any]) -> str:
    """Write a scene's card."""
    rows = [f"**{plain(name)}**"]
    for heading, value in facts.items():
        shown = f"{value:,.2f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
        if heading == "seed":
            shown = str(value)
        short = shown if len(shown) <= LONGEST else shown[: LONGEST - 3] + "..."
        rows.append(f"{plain(heading)}: {plain(short)}")
    return "  \n".join(rows)


def component(number: int, one: Component) -> str:
    """Name a principal component by the scenes at its ends."""
    return f"{number}: {one.share:.0%} of what varies, from {plain(one.low)} to {plain(one.high)}"


def spent(quick: float, full: float, width: int, height: int) -> str:
    """Say how long the last pictures took, in seconds."""
    return f"Moving: {quick * 1000:.0f} ms a picture, at rest: {full * 1000:.0f} ms, {width} x {height}"


def stamp() -> str:
    """Name the time for a file."""
    return time.strftime("%Y-%m-%d_%H%M%S")
