"""Procedural vehicles: any number from a seed, all in the same frame.

Frame: z up, front along +x, longest side 1, centred in x and y, wheels on z = GROUND.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from tda_nerfstudio.making.raycast import Mesh, corner_normals, join

GROUND = -0.2
GLASS, TYRE, TRIM = (0.10, 0.13, 0.17), (0.07, 0.07, 0.08), (0.16, 0.16, 0.18)
LAMP, BRAKE = (1.0, 0.95, 0.75), (0.85, 0.08, 0.07)
PAINTS = np.array(
    [
        (0.80, 0.14, 0.12), (0.13, 0.32, 0.65), (0.95, 0.72, 0.12), (0.16, 0.50, 0.30), (0.90, 0.90, 0.88),
        (0.22, 0.23, 0.26), (0.93, 0.45, 0.13), (0.30, 0.68, 0.74), (0.50, 0.20, 0.45), (0.62, 0.66, 0.70),
        (0.55, 0.10, 0.16), (0.72, 0.62, 0.45),
    ]
)  # fmt: skip

Colour = Callable[[Float[np.ndarray, "face 3"]], Float[np.ndarray, "face 3"]]


@dataclass(frozen=True)
class Shape:
    """One body style: heights above the ground in shares of the length, positions along it in [-0.5, 0.5]."""

    width: float
    clearance: float
    hull: tuple[tuple[float, float], ...]
    cabin: tuple[tuple[float, float], ...] = ()
    cabin_width: float = 0.86
    pillars: tuple[float, ...] = ()
    wheel: float = 0.085
    axles: tuple[float, ...] = (-0.30, 0.30)
    box: tuple[float, float, float] | None = None


SHAPES = {
    "sedan": Shape(0.42, 0.06, ((-0.5, 0.17), (-0.42, 0.20), (0.2, 0.21), (0.45, 0.175), (0.5, 0.13)),
                   ((-0.38, 0.20), (-0.20, 0.325), (0.04, 0.335), (0.24, 0.20)), pillars=(-0.06,)),
    "hatchback": Shape(0.46, 0.065, ((-0.5, 0.20), (-0.46, 0.23), (0.22, 0.235), (0.46, 0.19), (0.5, 0.14)),
                       ((-0.49, 0.23), (-0.40, 0.37), (0.06, 0.38), (0.28, 0.23)), pillars=(-0.1, -0.3), wheel=0.095),
    "suv": Shape(0.46, 0.09, ((-0.5, 0.25), (-0.47, 0.28), (0.24, 0.285), (0.47, 0.26), (0.5, 0.18)),
                 ((-0.49, 0.28), (-0.45, 0.42), (0.08, 0.43), (0.26, 0.28)), pillars=(-0.06, -0.27), wheel=0.11),
    "van": Shape(0.44, 0.07, ((-0.5, 0.22), (0.36, 0.23), (0.5, 0.16)),
                 ((-0.5, 0.22), (-0.48, 0.43), (0.22, 0.43), (0.42, 0.23)), 0.95, pillars=(0.16, -0.16), wheel=0.09),
    "pickup": Shape(0.44, 0.09, ((-0.5, 0.22), (0.10, 0.23), (0.28, 0.24), (0.46, 0.22), (0.5, 0.15)),
                    ((-0.10, 0.23), (-0.06, 0.38), (0.10, 0.385), (0.26, 0.23)), pillars=(0.02,), wheel=0.11),
    "truck": Shape(0.38, 0.09, ((-0.5, 0.13), (0.18, 0.13), (0.22, 0.24), (0.47, 0.23), (0.5, 0.16)),
                   ((0.20, 0.23), (0.22, 0.37), (0.38, 0.37), (0.47, 0.23)), 0.94, wheel=0.085,
                   axles=(-0.34, -0.15, 0.33), box=(-0.5, 0.17, 0.46)),
    "bus": Shape(0.32, 0.06, ((-0.5, 0.19), (0.47, 0.19), (0.5, 0.17)),
                 ((-0.5, 0.19), (-0.49, 0.37), (0.44, 0.37), (0.5, 0.19)), 0.98,
                 pillars=(-0.36, -0.2, -0.04, 0.12, 0.28), wheel=0.07, axles=(-0.28, 0.32)),
    "racer": Shape(0.46, 0.035, ((-0.5, 0.15), (-0.3, 0.17), (0.1, 0.14), (0.4, 0.09), (0.5, 0.06)),
                   ((-0.26, 0.16), (-0.14, 0.235), (-0.02, 0.235), (0.14, 0.13)), 0.62, wheel=0.09),
}  # fmt: skip


def power(wave: NDArray, exponent: float) -> NDArray:
    """Raise to a power and keep the sign."""
    return np.sign(wave) * np.abs(wave) ** exponent


def stack(x: NDArray, y: NDArray, z: NDArray) -> Float[np.ndarray, "ring point 3"]:
    """Put coordinates side by side, each repeated along the axes that it lacks."""
    return np.stack(np.broadcast_arrays(x, y, z), -1)


def plain(colour: NDArray | tuple) -> Colour:
    """Paint every face alike."""
    return lambda centres: np.tile(np.asarray(colour, float), (len(centres), 1))


def smooth_mesh(vertices: NDArray, faces: NDArray, colour: Colour, crease: float = 0.5) -> Mesh:
    """Make a mesh whose normals are averaged over neighbouring faces, but not across creases (cosine below `crease`).

    Faces come in pairs that share a colour, so that its borders run along quads and not in zigzag.
    """
    corners = vertices[faces]
    colours = colour(corners.mean(1).reshape(-1, 2, 3).mean(1)).repeat(2, axis=0)
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    keep = np.linalg.norm(area, axis=1) > 1e-10
    faces, colours = faces[keep], colours[keep]
    normals = corner_normals(vertices, faces, crease)
    return Mesh(vertices, faces, normals, colours)


def loft(rings: Float[np.ndarray, "ring point 3"], colour: Colour) -> Mesh:
    """Close a skin over rings of points, with a cap at both ends."""
    count, points = rings.shape[:2]
    ends = rings[[0, -1]].mean(1)
    vertices = np.concatenate([rings.reshape(-1, 3), ends])
    i, j = np.meshgrid(np.arange(count - 1), np.arange(points), indexing="ij")
    a, b = i * points + j, i * points + (j + 1) % points
    quads = np.stack([a, a + points, b, b, a + points, b + points], -1).reshape(-1, 3)
    edge = np.arange(points)
    turn = (edge + 1) % points
    first, last = np.full(points, count * points), np.full(points, count * points + 1)
    tail = (count - 1) * points
    caps = [np.stack([first, edge, turn], -1), np.stack([last, tail + turn, tail + edge], -1)]
    return smooth_mesh(vertices, np.concatenate([quads, *caps]), colour)


def body(
    profile: tuple[tuple[float, float], ...], bottom: float, width: NDArray | float, taper: float, colour: Colour
) -> Mesh:
    """Loft rounded sections along x under a profile of heights; `taper` narrows them towards the top."""
    x = np.unique(np.concatenate([np.linspace(profile[0][0], profile[-1][0], 60), [p[0] for p in profile]]))
    top = np.interp(x, *np.array(profile).T)
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    across, up = power(np.cos(angle), 0.4), power(np.sin(angle), 0.4)
    nose = 1 - 0.12 * np.abs(2 * x) ** 5
    height = np.maximum(top - bottom, 0.004)
    z = bottom + height[:, None] * (up + 1) / 2
    share = (up + 1) / 2
    y = (0.5 * width * nose)[:, None] * across * (1 - taper * share)
    return loft(stack(x[:, None], y, z + GROUND), colour)


def block(low: tuple[float, float, float], high: tuple[float, float, float], colour: NDArray | tuple) -> Mesh:
    """Make a box between two corners, heights above the ground."""
    corners = np.array([[(low, high)[(k >> axis) & 1][axis] for axis in range(3)] for k in range(8)], float)
    corners[:, 2] += GROUND
    quads = ((0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5))
    faces = np.array([f for a, b, c, d in quads for f in ((a, b, c), (a, c, d))])
    return smooth_mesh(corners, faces, plain(colour), crease=0.99)


def wheel(x: float, y: float, radius: float, rim: NDArray | tuple) -> Mesh:
    """Make a wheel standing on the ground: tyre, and a rim on both faces."""
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    steps = ((-0.034, 0.0), (-0.03, 0.56), (-0.034, 0.62), (-0.034, 0.9), (-0.026, 1.0))
    steps = (*steps, *((-offset, size) for offset, size in reversed(steps)))
    offset, size = np.array(steps).T[:, :, None]
    rings = stack(x + radius * size * np.cos(angle), y + offset, radius * (1 + size * np.sin(angle)) + GROUND)

    def colour(centres: NDArray) -> NDArray:
        away = np.hypot(centres[:, 0] - x, centres[:, 2] - GROUND - radius) / radius
        return np.where((away < 0.58)[:, None], np.asarray(rim), np.asarray(TYRE))

    return loft(rings, colour)


def vehicle(seed: int, index: int) -> Mesh:
    """Make vehicle `index` of a class; it depends on (seed, index) alone."""
    rng = np.random.default_rng((seed, index))
    kind = list(SHAPES)[index % len(SHAPES)] if index < len(SHAPES) else str(rng.choice(list(SHAPES)))
    shape = SHAPES[kind]
    paint, accent = PAINTS[rng.choice(len(PAINTS), 2, replace=False)]
    tall, wide = rng.uniform(0.92, 1.08), shape.width * rng.uniform(0.94, 1.06)
    hull = tuple((x, z * tall) for x, z in shape.hull)
    cabin = tuple((x, z * tall) for x, z in shape.cabin)
    roof, sill = max(z for _, z in cabin), cabin[0][1]
    style = str(rng.choice(["plain", "stripe", "two-tone", "plain"]))

    def painted(centres: NDArray) -> NDArray:
        colours = np.tile(paint, (len(centres), 1))
        if style == "stripe":
            colours[np.abs(centres[:, 1]) < 0.055] = accent
        if style == "two-tone":
            colours[centres[:, 2] - GROUND < shape.clearance + 0.4 * (sill - shape.clearance)] = accent
        return colours

    def glazed(centres: NDArray) -> NDArray:
        colours = painted(centres)
        x, height = centres[:, 0], centres[:, 2] - GROUND
        band = (height > sill + 0.12 * (roof - sill)) & (height < roof - 0.14 * (roof - sill))
        pillar = (np.abs(x[:, None] - np.array(shape.pillars)) < 0.016).any(1)
        colours[band & ~pillar] = GLASS
        return colours

    parts = [
        body(hull, shape.clearance, wide, 0.04, painted),
        body(cabin, sill - 0.03, wide * shape.cabin_width, 0.22 if shape.cabin_width < 0.93 else 0.07, glazed),
    ]
    rim = (0.78, 0.79, 0.81) if rng.random() < 0.7 else accent
    for x in shape.axles:
        for side in (-1, 1):
            parts.append(wheel(x, side * (wide / 2 - 0.02), shape.wheel, rim))
    parts += fittings(shape, kind, wide, hull, accent)
    if shape.box:
        back, front, top = shape.box
        parts.append(block((back, -wide * 0.5, 0.15), (front, wide * 0.5, top * tall), accent))
    parts += roof_items(kind, roof, cabin, wide, accent, rng)
    return normalise(join(parts))


def fittings(
    shape: Shape, kind: str, wide: float, hull: tuple[tuple[float, float], ...], accent: NDArray
) -> list[Mesh]:
    """Add lamps, brake lights, bumpers, a grille, a pick-up's bed or a racer's wing."""
    front, rear = hull[-1][1], hull[0][1]
    low = shape.clearance
    half = wide / 2
    parts = [
        block((0.47, -half * 0.84, low), (0.503, half * 0.84, low + 0.035), TRIM),
        block((-0.503, -half * 0.86, low), (-0.47, half * 0.86, low + 0.035), TRIM),
    ]
    for side in (-1, 1):
        near, far = sorted((side * half * 0.48, side * half * 0.78))
        parts.append(block((0.46, near, front - 0.045), (0.5, far, front - 0.005), LAMP))
        parts.append(block((-0.504, near, rear - 0.07), (-0.47, far, rear - 0.03), BRAKE))
    if kind != "racer":
        parts.append(block((0.47, -half * 0.36, front - 0.05), (0.5, half * 0.36, front - 0.012), TRIM))
    if kind == "pickup":
        parts.append(block((-0.475, -half * 0.8, rear - 0.02), (-0.14, half * 0.8, rear + 0.012), TRIM))
        for side in (-1, 1):
            near, far = sorted((side * half * 0.8, side * half * 0.97))
            parts.append(block((-0.495, near, rear - 0.02), (-0.12, far, rear + 0.05), accent))
    if kind == "racer":
        parts.append(block((-0.5, -half * 0.9, 0.27), (-0.4, half * 0.9, 0.285), accent))
        for side in (-1, 1):
            near, far = sorted((side * half * 0.5, side * half * 0.56))
            parts.append(block((-0.47, near, 0.14), (-0.43, far, 0.28), TRIM))
    return parts


def roof_items(
    kind: str,
    roof: float,
    cabin: tuple[tuple[float, float], ...],
    wide: float,
    accent: NDArray,
    rng: np.random.Generator,
) -> list[Mesh]:
    """Put a taxi sign, a light bar, a rack or nothing on the roof."""
    if kind == "racer":
        return []
    middle = (cabin[1][0] + cabin[2][0]) / 2
    item = str(rng.choice(["sign", "bar", "rack", "none", "none"]))
    if item == "sign":
        return [block((middle - 0.03, -0.07, roof - 0.01), (middle + 0.03, 0.07, roof + 0.045), (0.98, 0.85, 0.2))]
    if item == "bar":
        red, blue = (0.85, 0.1, 0.1), (0.1, 0.2, 0.85)
        return [
            block((middle - 0.025, -wide * 0.3, roof - 0.01), (middle + 0.025, 0, roof + 0.035), red),
            block((middle - 0.025, 0, roof - 0.01), (middle + 0.025, wide * 0.3, roof + 0.035), blue),
        ]
    if item == "rack":
        xs = np.linspace(cabin[1][0] + 0.03, cabin[2][0] - 0.03, 3)
        return [block((x - 0.012, -wide * 0.32, roof - 0.01), (x + 0.012, wide * 0.32, roof + 0.022), TRIM) for x in xs]
    return []


def normalise(mesh: Mesh) -> Mesh:
    """Scale to a longest side of 1, centre in x and y, stand on the ground."""
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    scale = 1 / (high - low).max()
    shift = np.array([*(low + high)[:2] / 2, low[2]])
    return mesh._replace(vertices=(mesh.vertices - shift) * scale + [0, 0, GROUND])
