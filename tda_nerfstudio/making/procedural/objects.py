"""Procedural objects of no particular class: a few random solids, stacked, mirrored or heaped, painted at random."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int, UInt8

from tda_nerfstudio.making.procedural.pictures import Rng, flat, palette, picture
from tda_nerfstudio.making.procedural.vehicles import loft, plain, power, stack
from tda_nerfstudio.making.raycast import Mesh, Raycaster, join
from tda_nerfstudio.making.srgb import LINEAR

TEXTURE = 128
"""Pixels along a side of a part's texture."""


class PaintedCaster(Raycaster):
    """Render parts that carry a picture each, projected along the axis that a face looks along."""

    def __init__(
        self,
        parts: list[Mesh],
        pictures: UInt8[np.ndarray, "part texel texel 3"],
        repeats: Float[np.ndarray, " part"],
    ) -> None:
        super().__init__(join(parts))
        self.part = np.repeat(np.arange(len(parts)), [len(part.faces) for part in parts])
        self.pictures, self.repeats = LINEAR[pictures], repeats
        across = np.abs(self.mesh.normals.sum(1)).argmax(1)
        self.axes = np.array([(1, 2), (0, 2), (0, 1)])[across]

    def albedo(self, face: Int[np.ndarray, " ray"], point: Float[np.ndarray, "ray 3"]) -> Float[np.ndarray, "ray 3"]:
        """Look the parts' pictures up, tiled by mirroring."""
        part = self.part[face]
        at = np.take_along_axis(point, self.axes[face], 1) * self.repeats[part, None] + 0.5
        texel = np.minimum(np.abs((at + 1) % 2 - 1) * TEXTURE, TEXTURE - 1).astype(int)
        return self.pictures[part, TEXTURE - 1 - texel[:, 1], texel[:, 0]]


def random_object(rng: Rng, textured: float = 0.5) -> PaintedCaster:
    """Make an object around the origin, longest side 1; `textured` is the share of painted parts.

    It has 2 to 12 parts, or up to 23 where they are mirrored.
    """
    parts, count = [], int(min(1 + rng.geometric(0.25), 12))
    arrangement, boxy = rng.choice(["heap", "stack", "mirrored"]), rng.random() < 0.4
    height = 0.0
    for _ in range(count):
        rings = SOLIDS[rng.integers(len(SOLIDS))](rng)
        size = rng.uniform(0.15, 0.6, 3) if rng.random() < 0.7 else np.repeat(rng.uniform(0.1, 0.5), 3)
        rings = rings * size
        if not boxy or rng.random() < 0.2:
            rings = rings @ rotation(rng).T
        if arrangement == "stack":
            low, high = rings[..., 2].min(), rings[..., 2].max()
            rings = rings + [*rng.normal(0, 0.05, 2), height - low]
            height += 0.95 * (high - low)
        else:
            rings = rings + rng.normal(0, 0.28, 3)
        parts.append(loft(rings, plain((1, 1, 1))))
        if arrangement == "mirrored" and len(parts) < 12:
            parts.append(loft(rings[::-1] * [1, -1, 1], plain((1, 1, 1))))
    parts = centred(parts)
    colours = palette(rng, len(parts))
    skins = [picture(rng, TEXTURE) if rng.random() < textured else flat(colour, TEXTURE) for colour in colours]
    repeats = 2 ** rng.uniform(-0.5, 2.5, len(parts))
    if arrangement == "mirrored":
        skins, repeats = [skins[i // 2 * 2] for i in range(len(parts))], repeats[np.arange(len(parts)) // 2 * 2]
    return PaintedCaster(parts, np.stack(skins), repeats)


def centred(parts: list[Mesh]) -> list[Mesh]:
    """Move and scale parts together: around the origin, longest side 1."""
    points = np.concatenate([part.vertices for part in parts])
    low, high = points.min(0), points.max(0)
    scale = 1 / (high - low).max()
    return [part._replace(vertices=(part.vertices - (low + high) / 2) * scale) for part in parts]


def rotation(rng: Rng) -> Float[np.ndarray, "3 3"]:
    """Draw a rotation or a reflection; all directions are equally likely."""
    return np.linalg.qr(rng.normal(size=(3, 3)))[0]


def random_camera(rng: Rng, size: int) -> tuple[Float[np.ndarray, "3 4"], float]:
    """Look at the origin from anywhere, from near or far; OpenGL camera-to-world (z up) and focal length in pixels."""
    view = rotation(rng)
    if rng.random() < 0.85:  # upright, mostly from above
        back = rng.normal(size=3)
        back[2] = rng.uniform(-0.3, 1.2) * np.hypot(back[0], back[1])
        back /= np.linalg.norm(back)
        right = np.cross([0, 0, 1], back)
        right /= np.linalg.norm(right)
        view = np.stack([right, np.cross(back, right), back], -1)
    half = math.radians(rng.uniform(10, 30))
    distance = 0.5 / math.sin(half) / rng.uniform(0.5, 1.1)
    eye = view[:, 2] * distance + view[:, :2] @ rng.normal(0, 0.06, 2)
    return np.concatenate([view, eye[:, None]], 1), size / 2 / math.tan(half)


def superquadric(rng: Rng) -> Float[np.ndarray, "ring point 3"]:
    """Make a ball, a rounded box, a cylinder, a double cone or something between them."""
    e, n = rng.choice([0.1, 0.3, 1.0, 1.6, 2.0], 2)
    up, around = np.linspace(-np.pi / 2, np.pi / 2, 19)[:, None], np.linspace(0, 2 * np.pi, 36, endpoint=False)[None]
    reach = power(np.cos(up), e)
    return stack(reach * power(np.cos(around), n), reach * power(np.sin(around), n), power(np.sin(up), e))


def lathe(rng: Rng) -> Float[np.ndarray, "ring point 3"]:
    """Turn a random profile: vases, wheels, cones, and prisms when it has few sides."""
    sides = int(rng.choice([4, 6, 8, 12, 32, 32]))
    around = 2 * np.pi * (np.arange(sides) + 0.5) / sides
    knots = rng.uniform(0.15, 1, rng.integers(2, 7))
    height = np.linspace(-1, 1, 25)
    radius = np.interp(height, np.linspace(-1, 1, len(knots)), knots)
    if rng.random() < 0.5:
        radius = np.convolve(np.pad(radius, 3, mode="edge"), np.ones(7) / 7, "valid")
    return stack(np.cos(around) * radius[:, None], np.sin(around) * radius[:, None], height[:, None])


def extrusion(rng: Rng) -> Float[np.ndarray, "ring point 3"]:
    """Push out a random outline: a plank, a star, a gear, a blob."""
    points = 2 * int(rng.integers(2, 16))
    around = 2 * np.pi * np.arange(points) / points
    spiky = rng.random() < 0.5
    reach = rng.uniform(0.3, 1, points) if spiky else np.where(np.arange(points) % 2, 1, rng.random() + 0.2)
    steps, bevel = np.array([-1, -0.9, 0.9, 1]), rng.choice([0.8, 1.0])
    size = np.array([bevel, 1, 1, bevel])[:, None]
    return stack(np.cos(around) * reach * size, np.sin(around) * reach * size, steps[:, None])


def tube(rng: Rng) -> Float[np.ndarray, "ring point 3"]:
    """Bend a tube: a handle, a spring's turn, most of a torus."""
    turn = np.linspace(0, rng.uniform(0.5, 1.9) * np.pi, 28)[:, None]
    around = np.linspace(0, 2 * np.pi, 14, endpoint=False)[None]
    radius, rise = rng.uniform(0.05, 0.35), rng.uniform(-0.5, 0.5)
    away, height = 1 - radius + radius * np.cos(around), radius * np.sin(around) + rise * (turn / np.pi - 0.5)
    return stack(away * np.cos(turn), away * np.sin(turn), height)


SOLIDS = (superquadric, lathe, extrusion, tube)
