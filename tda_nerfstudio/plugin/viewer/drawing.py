"""Small drawings for the viewer's panel, as SVG: pictures with captions, and curves."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from html import escape

import torch
from jaxtyping import Float
from torch import Tensor

WIDTH = 288
"""Units of a drawing's width: the CSS pixels that nerfstudio's panel leaves in a folder."""
COLUMNS, GAP, LINE = 2, 4, 13
"""Pictures in a row, the space between them, and the height of a line of text."""
SHARPEST = 256
"""Pixels of a picture's longer side that are sent, at most: twice what is shown, for screens that show more."""
TEXT, FAINT, LINES = "#c1c2c5", "#5c5f66", ("#ffd369", "#4dabf7", "#69db7c", "#ff8787")
"""Colours on nerfstudio's dark panel."""
TALL = 64
"""Height of the area of a drawing's curves."""
Curve = tuple[Sequence[int], Sequence[float]]
"""Steps and values."""


def as_markdown(svg: str) -> str:
    """Make markdown that shows a drawing as wide as the panel."""
    return f"![drawing](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def pictures(rows: Sequence[Mapping[str, Float[Tensor, "3 rows columns"]]]) -> str:
    """Draw pictures in [0, 1], each below its caption, COLUMNS in a line; each of `rows` begins a new line.

    All are shown as large as the first one. Pictures with fewer pixels, such as latents, show them as squares.
    """
    first = next(iter(rows[0].values()))
    wide = (WIDTH - (COLUMNS - 1) * GAP) / COLUMNS
    high = wide * first.shape[1] / first.shape[2]
    parts, top = [], 0.0
    for row in rows:
        for i, (caption, image) in enumerate(row.items()):
            x = i % COLUMNS * (wide + GAP)
            if i and i % COLUMNS == 0:
                top += LINE + high + GAP
            style = ' style="image-rendering:pixelated"' if image.shape[2] < first.shape[2] else ""
            parts.append(_text(x, top + LINE - 3, caption))
            parts.append(
                f'<image x="{x:.1f}" y="{top + LINE:.1f}" width="{wide:.1f}" height="{high:.1f}"'
                f' preserveAspectRatio="none"{style} href="data:image/png;base64,{_png(image)}"/>'
            )
        top += LINE + high + GAP
    return _svg(top, parts)


def curves(title: str, given: Mapping[str, Curve], logarithmic: bool = False) -> str:
    """Draw curves over steps below a title, with a legend that tells their last values. Without a point, say so."""
    found = {name: curve for name, curve in given.items() if curve[0]}
    points = [(s, v) for steps, values in found.values() for s, v in zip(steps, values, strict=True)]
    kept = [(s, v) for s, v in points if v > 0 or not logarithmic]
    parts = [_text(0, LINE - 3, title, fill=TEXT)]
    if not kept:
        return _svg(2 * LINE, [*parts, _text(0, 2 * LINE - 3, "no steps yet", fill=FAINT)])
    scale = math.log10 if logarithmic else float
    left, right = min(s for s, _ in kept), max(s for s, _ in kept)
    low, high = min(v for _, v in kept), max(v for _, v in kept)
    bottom, span = scale(low), scale(high) - scale(low)
    top = 2 * LINE
    words = []
    for i, (name, (steps, values)) in enumerate(found.items()):
        colour = LINES[i % len(LINES)]
        line = " ".join(
            f"{(s - left) / max(right - left, 1) * WIDTH:.1f},"
            f"{top + TALL * (1 - ((scale(v) - bottom) / span if span > 0 else 0.5)):.1f}"
            for s, v in zip(steps, values, strict=True)
            if v > 0 or not logarithmic
        )
        end = line.rpartition(" ")[2].split(",")
        if line:
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.2"/>')
            parts.append(f'<circle cx="{end[0]}" cy="{end[1]}" r="1.8" fill="{colour}"/>')
        words.append(f'<tspan fill="{colour}">{escape(name)} {_number(values[-1])}</tspan>')
    parts.append(f'<text x="0" y="{2 * LINE - 3}">{"&#160; ".join(words)}</text>')
    parts.append(f'<path d="M0 {top + TALL + 1}H{WIDTH}" stroke="{FAINT}" stroke-width="0.6"/>')
    parts.append(_text(WIDTH, LINE - 3, f"{_number(low)} to {_number(high)}", fill=FAINT, anchor="end"))
    foot = top + TALL + LINE - 1
    parts += [_text(0, foot, f"step {left:,}", fill=FAINT), _text(WIDTH, foot, f"{right:,}", fill=FAINT, anchor="end")]
    return _svg(foot + 4, parts)


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.0e}"


def _text(x: float, y: float, text: str, fill: str = TEXT, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}"'
        f' viewBox="0 0 {WIDTH} {height:.0f}" font-family="Inter,Helvetica,Arial,sans-serif" font-size="10">'
        f"{''.join(parts)}</svg>"
    )


def _png(image: Float[Tensor, "3 rows columns"]) -> str:
    """Encode a picture, made smaller where it is larger than the panel shows."""
    from PIL import Image

    longer = max(image.shape[1:])
    if longer > SHARPEST:
        size = [max(1, round(side * SHARPEST / longer)) for side in image.shape[1:]]
        image = torch.nn.functional.interpolate(image[None], size, mode="area")[0]
    pixels, file = (image.permute(1, 2, 0).clamp(0, 1) * 255).round().byte().numpy(), io.BytesIO()
    Image.fromarray(pixels).save(file, "png", compress_level=1)
    return base64.b64encode(file.getvalue()).decode()
