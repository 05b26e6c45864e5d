"""Small drawings for the viewer's panel, as SVG: pictures with captions, and curves."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.looking.colouring import picture

WIDTH = 274
"""Units of a drawing's width: the CSS pixels that nerfstudio's panel leaves in a folder."""
STYLE = '{{width: "106%", maxWidth: "none", display: "block"}}'
"""Markdown of viser's is MDX. Its own images are 240 pixels wide, and its paragraphs leave a margin on the right."""
GAP, LINE, TALL = 5, 13, 56
"""Space between pictures, height of a line of text, and height of the area of curves."""
SHARPEST = 192
"""Pixels of a picture's longer side that are sent, at most."""
TEXT, FAINT, LINES = "#c1c2c5", "#909296", ("#ffd369", "#4dabf7", "#69db7c", "#ff8787", "#da77f2")
"""Colours on nerfstudio's dark panel."""
MARGIN, LEAST = 0.06, 0.25
"""Around an object that pictures are cropped to, and the least crop, as shares of the picture's sides."""
Line: TypeAlias = tuple[Sequence[int], Sequence[float]]
"""Steps and values of a curve."""


class Picture(NamedTuple):
    """A picture of a drawing."""

    caption: str
    image: Float[Tensor, "3 rows columns"]
    """In [0, 1]."""
    note: str = ""
    """Written into its lower corner."""


def as_markdown(svg: str, label: str) -> str:
    """Make markdown that shows a drawing as wide as the panel."""
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{label}" src="data:image/svg+xml;base64,{data}" style={STYLE} />'


def draw_pictures(titles: Sequence[str], shown: Sequence[Picture]) -> str:
    """Draw pictures below lines of title, two in a row or, from five on, three.

    The first one is the truth: all show what is around its object, enlarged. Pictures with fewer pixels than it has,
    such as latents, show them as squares.
    """
    rows, columns = shown[0].image.shape[1:]
    beside = 2 if len(shown) < 5 else 3
    wide = (WIDTH - (beside - 1) * GAP) / beside
    high, first = wide * rows / columns, LINE * len(titles) + GAP
    box = " ".join(f"{value:.2f}" for value in around(shown[0].image))
    parts = [_text(0, LINE * (i + 1) - 3, title, TEXT if i == 0 else FAINT) for i, title in enumerate(titles)]
    for i, (caption, image, note) in enumerate(shown):
        x, y = i % beside * (wide + GAP), first + i // beside * (LINE + high + GAP)
        smoothing = "pixelated" if image.shape[2] < columns else "auto"
        parts.append(_text(x, y + LINE - 4, caption))
        parts.append(
            f'<svg x="{x:.1f}" y="{y + LINE:.1f}" width="{wide:.1f}" height="{high:.1f}" viewBox="{box}">'
            f'<image width="{columns}" height="{rows}" preserveAspectRatio="none" style="image-rendering:{smoothing}"'
            f' href="data:image/png;base64,{_png(image)}"/></svg>'
        )
        if note:
            halo = 'stroke="#fff" stroke-width="2.5" paint-order="stroke"'
            parts.append(_text(x + 3, y + LINE + high - 4, note, "#25262b", halo))
    lines = -(-len(shown) // beside)
    return _svg(first + lines * (LINE + high + GAP), parts)


def around(image: Float[Tensor, "3 rows columns"]) -> tuple[float, float, float, float]:
    """Find the crop around what is not white: left, top, width and height in pixels, of the picture's own aspect."""
    rows, columns = image.shape[1:]
    there = image.amin(0) < 0.97
    if not there.any():
        return 0.0, 0.0, float(columns), float(rows)
    y, x = there.any(1).nonzero().flatten() / rows, there.any(0).nonzero().flatten() / columns
    ends = [(float(axis[0]), float(axis[-1]) + 1 / side) for axis, side in ((x, columns), (y, rows))]
    share = min(max(LEAST, *(high - low + 2 * MARGIN for low, high in ends)), 1.0)
    left, top = (min(max((low + high - share) / 2, 0.0), 1 - share) for low, high in ends)
    return left * columns, top * rows, share * columns, share * rows


def draw_curves(title: str, given: Mapping[str, Line], logarithmic: bool = False) -> str:
    """Draw curves over steps below a title and a legend with their last values. Without a point, say so.

    With `logarithmic`, values of 0 and less are left out.
    """
    lines = {
        name: [(s, v) for s, v in zip(*line, strict=True) if v > 0 or not logarithmic] for name, line in given.items()
    }
    points = [point for line in lines.values() for point in line]
    parts = [_text(0, LINE - 3, title)]
    if not points:
        return _svg(2 * LINE, [*parts, _text(0, 2 * LINE - 3, "none yet", FAINT)])
    scale, top, foot = math.log10 if logarithmic else float, 2 * LINE + 3, 2 * LINE + TALL + 3
    left, right = min(s for s, _ in points), max(s for s, _ in points)
    low, high = min(v for _, v in points), max(v for _, v in points)

    def place(step: int, value: float) -> tuple[float, float]:
        span = scale(high) - scale(low)
        up = (scale(value) - scale(low)) / span if span > 0 else 0.5
        return 2 + (WIDTH - 4) * (step - left) / max(right - left, 1), top + TALL * (1 - up)

    legend = []
    for (name, line), colour in zip(lines.items(), LINES * (len(lines) // len(LINES) + 1), strict=False):
        if not line:
            continue
        placed = [place(*point) for point in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.3"/>')
        parts.append(f'<circle cx="{placed[-1][0]:.1f}" cy="{placed[-1][1]:.1f}" r="1.9" fill="{colour}"/>')
        lasts = line[-1][0] >= right - 0.05 * (right - left)  # else it belongs to a phase that is over
        words = f"{name} {_number(line[-1][1])}" if lasts else name
        legend.append(f'<tspan fill="{colour}">{escape(words)}</tspan>')
    parts.append(f'<text y="{2 * LINE - 3}">{"&#160;&#160; ".join(legend)}</text>')
    scaled = ", logarithmic" if logarithmic else ""
    parts.append(_text(WIDTH, LINE - 3, f"{_number(low)} to {_number(high)}{scaled}", FAINT, 'text-anchor="end"'))
    parts.append(f'<path d="M0 {foot + 3}H{WIDTH}" stroke="{FAINT}" stroke-width="0.5"/>')
    parts.append(_text(0, foot + LINE, f"step {left}", FAINT))
    parts.append(_text(WIDTH, foot + LINE, str(right), FAINT, 'text-anchor="end"'))
    return _svg(foot + LINE + GAP, parts)


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.0e}"


def _text(x: float, y: float, text: str, fill: str = TEXT, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" {more}>{escape(text)}</text>'


def _svg(height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}"'
        f' viewBox="0 0 {WIDTH} {height:.0f}" font-family="Inter,Helvetica,Arial,sans-serif" font-size="9.5">'
        f"{''.join(parts)}</svg>"
    )


def _png(image: Float[Tensor, "3 rows columns"]) -> str:
    """Encode a picture, made smaller where it has more pixels than are sent."""
    from PIL import Image

    longer = max(image.shape[1:])
    if longer > SHARPEST:
        size = [max(1, round(side * SHARPEST / longer)) for side in image.shape[1:]]
        image = torch.nn.functional.interpolate(image[None], size, mode="area")[0]
    file = io.BytesIO()
    Image.fromarray(picture(image)).save(file, "png", compress_level=1)
    return base64.b64encode(file.getvalue()).decode()
