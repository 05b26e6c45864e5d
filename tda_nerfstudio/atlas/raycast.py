"""Ray-cast and shade triangle meshes on the CPU, with Embree (needs no system graphics library)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray

KEY_LIGHT = np.array([0.45, 0.35, 0.82]) / np.linalg.norm([0.45, 0.35, 0.82])
KEY, SKY, GROUND, SHINE = 0.75, 0.62, 0.30, 0.12
"""Light from the key light, from straight above and straight below, and the highlight's strength (linear)."""
OFFSET = 1e-4
"""How far above its surface a shadow ray starts, in world units."""


class Mesh(NamedTuple):
    """Triangles with a normal a corner and a colour a face (sRGB in [0, 1]); z is up."""

    vertices: Float[np.ndarray, "vertex 3"]
    faces: Int[np.ndarray, "face 3"]
    normals: Float[np.ndarray, "face 3 3"]
    colours: Float[np.ndarray, "face 3"]


def join(meshes: list[Mesh]) -> Mesh:
    """Put meshes together as one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.colours for mesh in meshes]),
    )


def to_linear(srgb: NDArray) -> NDArray:
    """Convert sRGB values in [0, 1] to linear light."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: NDArray) -> NDArray:
    """Convert linear light in [0, 1] to sRGB values."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


class Raycaster:
    """Render one mesh from any number of cameras."""

    def __init__(self, mesh: Mesh) -> None:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        self.mesh = mesh
        self._albedo = to_linear(mesh.colours)
        self._scene = EmbreeScene()
        TriangleMesh(self._scene, mesh.vertices[mesh.faces].astype(np.float32))

    def render(
        self, c2w: Float[np.ndarray, "3 4"], focal: float, size: int, samples: int = 3
    ) -> UInt8[np.ndarray, "size size 4"]:
        """Render a square image, samples x samples rays a pixel, as sRGB with straight alpha (black where empty).

        c2w is an OpenGL camera-to-world matrix, focal in pixels, the principal point in the middle.
        """
        count = size * samples
        at = (np.arange(count) + 0.5) / samples - size / 2
        x, y = np.meshgrid(at / focal, -at / focal)
        local = np.stack([x, y, -np.ones_like(x)], -1).reshape(-1, 3)
        directions = local @ c2w[:, :3].T
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        light, hit = self.shade(c2w[:, 3], directions)
        grid = (size, samples, size, samples)
        alpha = hit.reshape(grid).mean((1, 3))
        colour = light.reshape(*grid, 3).sum((1, 3)) / np.maximum(hit.reshape(grid).sum((1, 3)), 1)[..., None]
        rgba = np.concatenate([to_srgb(colour), alpha[..., None]], -1)
        return np.round(rgba * 255).astype(np.uint8)

    def shade(
        self, origin: Float[np.ndarray, " 3"], directions: Float[np.ndarray, "ray 3"]
    ) -> tuple[Float[np.ndarray, "ray 3"], NDArray[np.bool_]]:
        """Follow rays from a point: linear light (zero where nothing was hit) and whether something was."""
        origins = np.broadcast_to(origin, directions.shape).astype(np.float32)
        found = self._scene.run(np.ascontiguousarray(origins), directions.astype(np.float32), output=1)
        hit = found["primID"] >= 0
        light = np.zeros(directions.shape)
        if not hit.any():
            return light, hit
        face = found["primID"][hit]
        u, v = found["u"][hit, None], found["v"][hit, None]
        corner = self.mesh.normals[face]
        normal = corner[:, 0] * (1 - u - v) + corner[:, 1] * u + corner[:, 2] * v
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        view = directions[hit]
        normal *= -np.sign((normal * view).sum(1, keepdims=True) + 1e-12)  # seen from either side
        point = origin + view * found["tfar"][hit, None]
        facing = np.maximum(normal @ KEY_LIGHT, 0)
        lit = facing > 0
        lit[lit] = self._unblocked(point[lit] + normal[lit] * 20 * OFFSET)
        half = KEY_LIGHT - view
        half /= np.linalg.norm(half, axis=1, keepdims=True)
        ambient = GROUND + (SKY - GROUND) * (normal[:, 2] * 0.5 + 0.5)
        diffuse = ambient + KEY * facing * lit
        shine = SHINE * lit * np.maximum((normal * half).sum(1), 0) ** 24
        light[hit] = self.albedo(face, point) * diffuse[:, None] + shine[:, None]
        return light, hit

    def albedo(self, face: Int[np.ndarray, " ray"], point: Float[np.ndarray, "ray 3"]) -> Float[np.ndarray, "ray 3"]:
        """Look up the linear colour of faces where they were hit."""
        return self._albedo[face]

    def _unblocked(self, points: Float[np.ndarray, "point 3"]) -> NDArray[np.bool_]:
        towards = np.broadcast_to(KEY_LIGHT, points.shape).astype(np.float32)
        return self._scene.run(points.astype(np.float32), np.ascontiguousarray(towards), query="OCCLUDED") != 0
