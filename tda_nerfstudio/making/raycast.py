"""Ray-cast and shade triangle meshes on the CPU, with Embree (needs no system graphics library)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray

from tda_nerfstudio.making.models.textures import Pyramids
from tda_nerfstudio.making.srgb import to_linear, to_srgb

OFFSET = 1e-4
"""How far behind a see-through surface a ray goes on, in world units; a shadow ray starts 20 times as far above one."""
LAYERS = 16
"""Surfaces that a ray passes through at most."""


class Light(NamedTuple):
    """What lights a scene, linear: a far key light that casts shadows, and light from above and below everywhere."""

    towards: tuple[float, float, float]
    """Direction to the key light, of any length."""
    key: float
    sky: float
    ground: float
    shine: float = 0.0
    """Strength of the key light's highlight."""


DEMO_LIGHT = Light((0.45, 0.35, 0.82), key=0.75, sky=0.62, ground=0.30, shine=0.12)


class Camera(NamedTuple):
    """A pinhole camera: OpenGL camera-to-world matrix, intrinsics in pixels."""

    c2w: Float[np.ndarray, "3 4"]
    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int


def focal_length(field_of_view: float, size: int) -> float:
    """Find the focal length in pixels with which `size` pixels see an angle in degrees."""
    return size / 2 / math.tan(math.radians(field_of_view / 2))


def square_camera(c2w: Float[np.ndarray, "3 4"], focal: float, size: int) -> Camera:
    """Make a camera of size x size pixels that looks through the middle."""
    return Camera(c2w, focal, focal, size / 2, size / 2, size, size)


class Paint(NamedTuple):
    """Colours of corners, textures and transparency of faces."""

    colours: Float[np.ndarray, "face 3 4"]
    """Linear RGBA per corner; it multiplies the texture where there is one."""
    uv: Float[np.ndarray, "face 3 2"]
    texture: Int[np.ndarray, " face"]
    """Index into the pyramids; -1 is none."""
    cutoff: Float[np.ndarray, " face"]
    """Alpha below which there is a hole; 0 blends; negative is opaque and ignores alpha."""
    pyramids: Pyramids | None


class Mesh(NamedTuple):
    """Triangles with a normal per corner and a colour per face (sRGB in [0, 1]), or paint; z is up."""

    vertices: Float[np.ndarray, "vertex 3"]
    faces: Int[np.ndarray, "face 3"]
    normals: Float[np.ndarray, "face 3 3"]
    colours: Float[np.ndarray, "face 3"]
    paint: Paint | None = None


def join(meshes: list[Mesh]) -> Mesh:
    """Put meshes without paint together as one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.colours for mesh in meshes]),
    )


def corner_normals(
    vertices: Float[np.ndarray, "vertex 3"], faces: Int[np.ndarray, "face 3"], crease: float = 0.5
) -> Float[np.ndarray, "face 3 3"]:
    """Average the normals of neighbouring faces, weighted by area, but not across creases (cosine below `crease`)."""
    corners = vertices[faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat = area / np.linalg.norm(area, axis=1, keepdims=True)
    summed = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(summed, faces[:, k], area)
    smooth = summed[faces]
    smooth /= np.maximum(np.linalg.norm(smooth, axis=2, keepdims=True), 1e-12)
    sharp = (smooth * flat[:, None]).sum(2, keepdims=True) < crease
    return np.where(sharp, flat[:, None], smooth)


class Raycaster:
    """Render one mesh from any number of cameras."""

    def __init__(self, mesh: Mesh, light: Light = DEMO_LIGHT) -> None:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        self.mesh, self.light = mesh, light
        self._towards = np.array(light.towards) / np.linalg.norm(light.towards)
        self._albedo = to_linear(mesh.colours)
        self._see_through = mesh.paint is not None and bool((mesh.paint.cutoff >= 0).any())
        corners = mesh.vertices[mesh.faces]
        if mesh.paint is not None:
            self._density = np.sqrt(_areas(mesh.paint.uv) / np.maximum(_areas(corners), 1e-18))
            self._flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            self._flat *= np.sign((self._flat * mesh.normals.sum(1)).sum(1, keepdims=True))
        self._bounds = np.array([mesh.vertices.min(0), mesh.vertices.max(0)])
        self._scene = EmbreeScene()
        TriangleMesh(self._scene, corners.astype(np.float32))

    def render(self, camera: Camera, samples: int = 3) -> UInt8[np.ndarray, "height width 4"]:
        """Render with samples x samples rays a pixel, as sRGB with straight alpha (black where empty)."""
        image = np.zeros((camera.height, camera.width, 4), np.uint8)
        left, top, right, bottom = self._window(camera)
        if left >= right or top >= bottom:
            return image
        x = ((np.arange(left * samples, right * samples) + 0.5) / samples - camera.cx) / camera.fx
        y = ((np.arange(top * samples, bottom * samples) + 0.5) / samples - camera.cy) / -camera.fy
        x, y = np.meshgrid(x, y)
        directions = np.stack([x, y, -np.ones_like(x)], -1).reshape(-1, 3) @ camera.c2w[:, :3].T
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        light, cover = self.shade(camera.c2w[:, 3], directions, 1 / (samples * camera.fx))
        grid = (bottom - top, samples, right - left, samples)
        cover = cover.reshape(grid)
        colour = light.reshape(*grid, 3).sum((1, 3)) / np.maximum(cover.sum((1, 3)), 1e-9)[..., None]
        rgba = np.concatenate([to_srgb(colour), cover.mean((1, 3))[..., None]], -1)
        image[top:bottom, left:right] = np.round(rgba * 255)
        return image

    def shade(
        self, origin: Float[np.ndarray, " 3"], directions: Float[np.ndarray, "ray 3"], spread: float = 0.0
    ) -> tuple[Float[np.ndarray, "ray 3"], Float[np.ndarray, " ray"]]:
        """Follow rays from a point: linear light (zero where nothing was hit, times opacity), and opacity.

        `spread` is the width of a ray's beam at a distance of 1.
        """
        light, cover = np.zeros(directions.shape), np.zeros(len(directions))
        origins = np.broadcast_to(origin, directions.shape)
        rays = np.arange(len(directions))
        for _ in range(LAYERS if self._see_through else 1):
            views = directions[rays]
            found = self._scene.run(_single(origins), _single(views), output=1)
            hit = found["primID"] >= 0
            if not hit.any():
                break
            rays, views = rays[hit], views[hit]
            face, u, v = found["primID"][hit], found["u"][hit, None], found["v"][hit, None]
            origins = origins[hit] + views * found["tfar"][hit, None]
            distance = np.linalg.norm(origins - origin, axis=1)
            albedo, alpha = self._look(face, u, v, origins, distance * spread)
            weight = (1 - cover[rays]) * alpha
            light[rays] += weight[:, None] * self._reflect(self._normals(face, u, v, views), views, origins, albedo)
            cover[rays] += weight
            deeper = cover[rays] < 0.999
            rays, origins = rays[deeper], origins[deeper] + views[deeper] * OFFSET
        return light, cover

    def _window(self, camera: Camera) -> tuple[int, int, int, int]:
        """Find the pixels (left, top, right, bottom) outside which nothing can be seen."""
        corners = np.stack(np.meshgrid(*self._bounds.T), -1).reshape(-1, 3)
        x, y, z = ((corners - camera.c2w[:, 3]) @ camera.c2w[:, :3]).T
        if z.max() > -1e-6:
            return 0, 0, camera.width, camera.height
        at = np.stack([camera.cx - camera.fx * x / z, camera.cy + camera.fy * y / z])
        size = (camera.width, camera.height)
        left, top = np.clip(np.floor(at.min(1)) - 1, 0, size).astype(int)
        right, bottom = np.clip(np.ceil(at.max(1)) + 1, 0, size).astype(int)
        return left, top, right, bottom

    def _normals(self, face: NDArray, u: NDArray, v: NDArray, views: NDArray) -> Float[np.ndarray, "hit 3"]:
        """Interpolate the corners' normals, turned towards the viewer: surfaces are seen from either side."""
        normal = _between(self.mesh.normals[face], u, v)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        side = normal if self.mesh.paint is None else self._flat[face]
        normal *= -np.sign((side * views).sum(1, keepdims=True) + 1e-12)
        return normal

    def albedo(self, face: Int[np.ndarray, " ray"], point: Float[np.ndarray, "ray 3"]) -> Float[np.ndarray, "ray 3"]:
        """Look up the linear colour of faces without paint where they were hit."""
        return self._albedo[face]

    def _look(
        self, face: NDArray, u: NDArray, v: NDArray, points: NDArray, footprint: NDArray
    ) -> tuple[Float[np.ndarray, "hit 3"], Float[np.ndarray, " hit"]]:
        """Give the surface's own linear colour and its opacity."""
        paint = self.mesh.paint
        if paint is None:
            return self.albedo(face, points), np.ones(len(face))
        colour = _between(paint.colours[face], u, v)
        textured = np.flatnonzero(paint.texture[face] >= 0)
        if paint.pyramids is not None and len(textured):
            on = face[textured]
            uv = _between(paint.uv[on], u[textured], v[textured])
            colour[textured] *= paint.pyramids.look_up(paint.texture[on], uv, footprint[textured] * self._density[on])
        cutoff, alpha = paint.cutoff[face], colour[:, 3]
        alpha = np.where(cutoff > 0, alpha >= cutoff, np.where(cutoff < 0, 1.0, alpha))
        return colour[:, :3], alpha

    def _reflect(self, normal: NDArray, views: NDArray, points: NDArray, albedo: NDArray) -> Float[np.ndarray, "hit 3"]:
        """Light surfaces: diffuse from all around and from the key light, whose highlight is white."""
        light = self.light
        facing = np.maximum(normal @ self._towards, 0)
        lit = facing > 0
        above = points[lit] + normal[lit] * 20 * OFFSET
        towards = np.broadcast_to(self._towards, above.shape)
        lit[lit] = self._scene.run(_single(above), _single(towards), query="OCCLUDED") != 0
        ambient = light.ground + (light.sky - light.ground) * (normal[:, 2] * 0.5 + 0.5)
        reflected = albedo * (ambient + light.key * facing * lit)[:, None]
        if light.shine:
            half = self._towards - views
            half /= np.linalg.norm(half, axis=1, keepdims=True)
            reflected += (light.shine * lit * np.maximum((normal * half).sum(1), 0) ** 24)[:, None]
        return reflected


def _single(values: NDArray) -> Float[np.ndarray, "ray 3"]:
    return np.ascontiguousarray(values, dtype=np.float32)


def _between(corners: Float[np.ndarray, "hit 3 d"], u: NDArray, v: NDArray) -> Float[np.ndarray, "hit d"]:
    return corners[:, 0] * (1 - u - v) + corners[:, 1] * u + corners[:, 2] * v


def _areas(corners: Float[np.ndarray, "face 3 d"]) -> Float[np.ndarray, " face"]:
    """Measure triangles in two or three dimensions."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return 0.5 * np.sqrt(np.maximum((a * a).sum(1) * (b * b).sum(1) - (a * b).sum(1) ** 2, 0))
