"""Procedural pictures of many sorts, to train an autoencoder for any kind of image."""

from __future__ import annotations

import string
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Rng = np.random.Generator
LETTERS = string.ascii_letters + string.digits + "&%#?!.,:+-/"


def picture(rng: Rng, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """Draw a square sRGB picture of a random sort; it depends on the generator's state alone."""
    kind = rng.choice(len(SORTS), p=CHANCES)
    return SORTS[kind](rng, size)


def palette(rng: Rng, count: int) -> Float[np.ndarray, "count 3"]:
    """Choose colours in [0, 1] that go together: anything, one tint, greys with an accent, or vivid ones."""
    colours, mode = rng.random((count, 3)), rng.integers(5)
    if mode == 1:
        colours = rng.random(3) + 0.5 * (colours - 0.5)
    elif mode == 2:
        colours = np.repeat(colours[:, :1], 3, axis=1)
        colours[0] = rng.random(3)
    elif mode == 3:
        colours = colours > 0.5
    return np.clip(colours * rng.uniform(0.5, 1.5) if rng.random() < 0.3 else colours, 0, 1)


def flat(colour: NDArray, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """Fill a picture with one colour in [0, 1]."""
    return np.broadcast_to(as_bytes(np.asarray(colour, float)), (size, size, 3)).copy()


def as_bytes(values: NDArray) -> NDArray[np.uint8]:
    """Round values in [0, 1] to bytes, clipping what lies outside."""
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def paint(level: Float[np.ndarray, "double double"], rng: Rng) -> UInt8[np.ndarray, "size size 3"]:
    """Colour levels in [0, 1] by a ramp through two to five colours, in steps now and then, and halve the size.

    Drawings have twice the size, so that hard edges become as smooth as those of rendered images.
    """
    colours = palette(rng, rng.integers(2, 6))
    stops = np.linspace(0, 255, len(colours))
    ramp = np.stack([np.interp(np.arange(256), stops, channel) for channel in colours.T], -1)
    if rng.random() < 0.25:
        ramp = colours[np.minimum(np.arange(256) * len(colours) // 256, len(colours) - 1)]
    return halved(Image.fromarray(as_bytes(ramp)[as_bytes(level)]))


def halved(image: Image.Image) -> UInt8[np.ndarray, "size size 3"]:
    """Average 2 x 2 pixels."""
    return np.asarray(image.reduce(2))


def turned(rng: Rng, size: int) -> tuple[NDArray, NDArray]:
    """Give every half pixel coordinates in about [-0.7, 0.7] along two axes turned at random."""
    angle, at = rng.uniform(0, 2 * np.pi), (np.arange(2 * size, dtype=np.float32) + 0.5) / (2 * size) - 0.5
    u = at[None] * np.cos(angle) + at[:, None] * np.sin(angle)
    return u, at[:, None] * np.cos(angle) - at[None] * np.sin(angle)


def value_noise(rng: Rng, size: int) -> Float[np.ndarray, "size size"]:
    """Add grids of random values of growing fineness; about [0, 1]."""
    cells, fade = 2 ** rng.uniform(1, 4.5), rng.uniform(0.3, 0.8)
    level, weight = np.zeros((size, size), np.float32), 1.0
    for _ in range(rng.integers(1, 5)):
        grid = Image.fromarray(rng.random((int(cells), int(cells))).astype(np.float32))
        level += weight * np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC))
        cells, weight = min(2 * cells, size), weight * fade
    return stretched(level)


def stretched(level: NDArray) -> NDArray:
    """Stretch values to [0, 1]."""
    low, high = level.min(), level.max()
    return (level - low) / max(high - low, 1e-6)


def gradient(rng: Rng, size: int) -> NDArray:
    """Paint a linear or a round gradient."""
    u, v = turned(rng, size)
    return paint(stretched(u if rng.random() < 0.5 else np.hypot(u + rng.normal(0, 0.3), v)), rng)


def clouds(rng: Rng, size: int) -> NDArray:
    """Paint value noise."""
    return paint(value_noise(rng, 2 * size), rng)


def natural(rng: Rng, size: int) -> NDArray:
    """Draw noise with the spectrum of photographs, 1 / f to a power, in correlated colours."""
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    fall = np.maximum(np.hypot(fx, fy), 1 / size) ** -rng.uniform(0.9, 2.0)
    wave = np.exp(2j * np.pi * rng.random((3, size, size // 2 + 1)))
    layers = np.fft.irfft2(fall * wave, (size, size))
    layers /= layers.std((1, 2), keepdims=True)
    mix = rng.normal(0, rng.uniform(0.02, 0.2), (3, 3))
    mix[:, 2] = rng.uniform(0.05, 0.3)  # most of a photograph's contrast is brightness
    return as_bytes(rng.uniform(0.2, 0.8, 3) + np.einsum("cl,lyx->yxc", mix, layers))


def stripes(rng: Rng, size: int) -> NDArray:
    """Paint waves or bars along one axis, bent by noise now and then: cloth, blinds, wood."""
    u, v = turned(rng, size)
    if rng.random() < 0.3:
        u = np.hypot(u - rng.normal(0, 0.5), v * rng.uniform(0.1, 1))
    if rng.random() < 0.4:
        u = u + rng.uniform(0.02, 0.2) * value_noise(rng, 2 * size)
    wave = np.sin(2 * np.pi * u * 2 ** rng.uniform(0.5, 4.5))
    return paint(np.clip(0.5 + wave * rng.choice([0.5, 1, 4, 30]), 0, 1), rng)


def checks(rng: Rng, size: int) -> NDArray:
    """Paint a checker, tiles of random colours, or bricks."""
    u, v = turned(rng, size)
    pitch = 2 ** rng.uniform(1.5, 4.5)
    column, row = (np.floor(axis * pitch * stretch).astype(int) for axis, stretch in ((u, 1), (v, rng.choice([1, 2]))))
    if rng.random() < 0.4:
        return paint(((column + row) % 2).astype(np.float32), rng)
    shifted = np.floor(u * pitch + 0.5 * (row % 2)).astype(int)
    table = rng.random((97,))
    return paint(table[(shifted * 31 + row * 17) % 97], rng)


def _shape(draw: ImageDraw.ImageDraw, rng: Rng, centre: NDArray, radius: float, colour: tuple[int, ...]) -> None:
    kind, corner = rng.integers(4), radius * rng.uniform(0.4, 1, 2)
    if kind == 0:
        draw.ellipse((*(centre - corner), *(centre + corner)), fill=colour)
    elif kind == 1:
        draw.rectangle((*(centre - corner), *(centre + corner)), fill=colour)
    elif kind == 2:
        angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
        draw.polygon([(centre[0] + radius * np.cos(a), centre[1] + radius * np.sin(a)) for a in angle], fill=colour)
    else:
        end = centre + rng.normal(0, 2 * radius, 2)
        draw.line((*centre, *end), fill=colour, width=1 + int(rng.integers(max(int(radius / 3), 1))))


def _canvas(rng: Rng, size: int) -> tuple[Image.Image, Any, list[tuple[int, ...]]]:
    """Start a drawing at twice the size, with some colours to draw in."""
    colours = [tuple(int(v) for v in as_bytes(c)) for c in palette(rng, rng.integers(2, 12))]
    image = Image.new("RGB", (2 * size, 2 * size), colours[0])
    return image, ImageDraw.Draw(image), colours


def shapes(rng: Rng, size: int) -> NDArray:
    """Draw a few large shapes, or hundreds of leaves of all sizes over one another."""
    image, draw, colours = _canvas(rng, size)
    leaves = rng.random() < 0.5
    count = int(rng.integers(60, 250) if leaves else rng.integers(1, 15))
    radius = 2 * size * (0.02 * (1 - rng.random(count)) ** -0.7 if leaves else rng.uniform(0.03, 0.4, count))
    for centre, reach in zip(rng.uniform(0, 2 * size, (count, 2)), np.minimum(radius, size), strict=True):
        _shape(draw, rng, centre, reach, colours[rng.integers(len(colours))])
    return halved(image)


_font = cache(ImageFont.load_default)


def text(rng: Rng, size: int) -> NDArray:
    """Write words and numbers in one or several sizes and directions, as on labels, plates and walls."""
    image, draw, colours = _canvas(rng, size)
    for _ in range(rng.integers(1, 9)):
        letters = rng.choice(list(LETTERS), (rng.integers(1, 4), rng.integers(1, 12)))
        words, at = "\n".join("".join(line) for line in letters), rng.uniform(-0.2, 0.8, 2) * 2 * size
        draw.text(tuple(at), words, fill=colours[rng.integers(len(colours))], font=_font(int(4 * rng.integers(3, 28))))
    return halved(image.rotate(int(rng.choice([0, 0, 0, 90, rng.integers(360)])), fillcolor=colours[0]))


def collage(rng: Rng, size: int) -> NDArray:
    """Lay one picture over another, through a mask or half transparent."""
    below, above = picture(rng, size), picture(rng, size)
    mask = value_noise(rng, size) > 0.5 if rng.random() < 0.5 else np.asarray(shapes(rng, size)[..., 0] > 127)
    share = mask[..., None] * np.float32(rng.choice([0.5, 1, 1]))
    return (below + share * (above.astype(np.float32) - below) + 0.5).astype(np.uint8)


def plain(rng: Rng, size: int) -> NDArray:
    """Fill with one colour, most often black or white."""
    extreme = rng.random()
    return flat(np.zeros(3) if extreme < 0.1 else np.ones(3) if extreme < 0.2 else palette(rng, 1)[0], size)


SORTS = (gradient, clouds, natural, stripes, checks, shapes, text, collage, plain)
CHANCES = np.array([0.08, 0.14, 0.18, 0.11, 0.09, 0.17, 0.1, 0.1, 0.03])
