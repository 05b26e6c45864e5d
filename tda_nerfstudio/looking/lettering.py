"""Words in pictures."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

LETTER, LINE = 6, 14
"""Pixels of a letter's width, and of a line's height."""
INK, ALARM = (60, 60, 60), (120, 60, 20)


def write(sheet: Image.Image, text: str, left: int, top: int, width: int) -> None:
    """Write a line of text into a place of so many pixels, cut where it is longer."""
    letters = max((width - 8) // LETTER, 1)
    short = text if len(text) <= letters else text[: max(letters - 3, 0)] + "..."[:letters]
    ImageDraw.Draw(sheet).text((left + 4, top + 3), _drawable(short), fill=INK)


def message(text: str, width: int, height: int) -> UInt8[np.ndarray, "height width 3"]:
    """Make a white picture that says something."""
    sheet = Image.new("RGB", (width, height), "white")
    letters, lines, line = max(width // (LETTER + 1) - 2, 8), [], ""
    for word in text.split():
        while len(word) > letters:
            lines, line, word = [*lines, *([line] if line else []), word[:letters]], "", word[letters:]
        if line and len(line) + len(word) >= letters:
            lines, line = [*lines, line], ""
        line = f"{line} {word}".strip()
    draw = ImageDraw.Draw(sheet)
    for row, said in enumerate([*lines, line]):
        draw.text((8, 8 + LINE * row), _drawable(said), fill=ALARM)
    return np.asarray(sheet)


def _drawable(text: str) -> str:
    """Put "?" for what the font that is always there may lack."""
    return text.encode("latin-1", "replace").decode("latin-1")
