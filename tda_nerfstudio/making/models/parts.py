"""Parts of models as their files describe them, checked and put together as one mesh."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.models.textures import Pyramids, Texture, open_texture, read_pixels
from tda_nerfstudio.making.raycast import Mesh, Paint, corner_normals, join

MAX_BYTES = 2**28
"""Files larger than this are refused."""
MAX_COUNT = 2_000_000
"""Vertices, and triangles, of a model, every instance counted."""
MAX_PARTS = 20_000
"""Primitives of a model, every instance counted."""
MAX_PIXELS = 2**26
"""Pixels of a model's textures together; a few bytes of a file can declare a thousand times more."""


class Material(NamedTuple):
    """Base colour: linear RGBA, times a texture; alpha below `cutoff` is a hole, 0 blends, negative is opaque."""

    factor: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    texture: Texture | None = None
    cutoff: float = -1.0


class Part(NamedTuple):
    """Triangles of one material; texture coordinates have (0, 0) in the image's upper left corner."""

    name: str
    vertices: Float[np.ndarray, "vertex 3"]
    faces: Int[np.ndarray, "face 3"]
    material: Material
    normals: Float[np.ndarray, "vertex 3"] | None = None
    uv: Float[np.ndarray, "vertex 2"] | None = None
    colours: Float[np.ndarray, "vertex 4"] | None = None
    """Linear RGBA."""


class Source:
    """What a model may read: files below a root, each of limited size, and textures within one budget."""

    def __init__(self, path: Path, root: Path) -> None:
        self.path, self._root = path, Path(os.path.realpath(root))
        self._textures: dict[str, UInt8[np.ndarray, "height width 4"]] = {}
        self._pixels = 0

    def read(self, name: str, what: str) -> bytes:
        """Read a file that the model refers to, relative to itself."""
        try:
            path = Path(os.path.realpath(self.path.parent / name.replace("\\", "/")))
        except ValueError:  # a null byte
            raise TdaError(f"{what} {name!r} is not a file name. Export the model again.") from None
        if not path.is_relative_to(self._root):
            raise TdaError(f"{what} '{name}' leads out of {self._root} and is refused. Copy it there and refer to it.")
        return read_file(path, f"{what} '{name}'")

    def pixels(self, what: str, read: Callable[[], bytes]) -> UInt8[np.ndarray, "height width 4"]:
        """Decode a texture, each name once, after counting the pixels that its header declares."""
        if what not in self._textures:
            image = open_texture(data := read(), what)
            self._pixels += image.width * image.height
            if self._pixels > MAX_PIXELS:
                limit = f"more than {MAX_PIXELS // 2**20} million pixels in all textures of the model"
                raise TdaError(f"{what} is {image.width} x {image.height}: {limit}. Shrink them.")
            self._textures[what] = read_pixels(image, data, what)
        return self._textures[what]


def read_file(path: Path, what: str) -> bytes:
    """Read a file of at most MAX_BYTES."""
    if not path.is_file():  # reading a pipe would block
        raise TdaError(f"{what} is missing: there is no file {path}. Copy it there, or remove the reference.")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise TdaError(f"{what} cannot be read ({error.strerror}). Change its permissions or copy it.") from error
    if len(data) > MAX_BYTES:
        raise TdaError(f"{what} has more than {MAX_BYTES // 2**20} MB. Simplify it.")
    return data


def check_count(count: int, what: str, limit: int = MAX_COUNT) -> None:
    """Refuse too many of something before memory is asked for."""
    if count > limit:
        raise TdaError(f"It declares {count:,} {what}; {limit:,} are the limit. Simplify it.")


def build(parts: Sequence[Part]) -> Mesh:
    """Check parts and put them together; triangles without area are left out. Raises TdaError where none is left."""
    for what, count in (("vertices", "vertices"), ("triangles", "faces")):
        check_count(sum(len(getattr(part, count)) for part in parts), what)
    good = [part for part in map(_checked, parts) if len(part.faces)]
    if not good:
        raise TdaError("It holds no triangle with an area (points and lines are not rendered). Export a surface.")
    textures = {key: _seen(part.material) for part in good if (key := _key(part))}
    rows = {None: -1} | {key: row for row, key in enumerate(textures)}
    sizes = [len(part.faces) for part in good]
    colours = [_corners(p.colours, p.faces, (1, 1, 1, 1)) * np.array(p.material.factor, np.float32) for p in good]
    paint = Paint(
        np.concatenate(colours),
        np.concatenate([_corners(part.uv, part.faces, (0, 0)) for part in good]),
        np.repeat([rows[_key(part)] for part in good], sizes),
        np.repeat([part.material.cutoff for part in good], sizes),
        Pyramids(list(textures.values())) if textures else None,
    )
    plain = [Mesh(part.vertices, part.faces, _corner_normals(part), np.empty((0, 3))) for part in good]
    return join(plain)._replace(paint=paint)


def _key(part: Part) -> tuple | None:
    """Tell textures apart by their pixels, their samplers, and whether alpha counts."""
    texture, opaque = part.material.texture, part.material.cutoff < 0
    return None if texture is None or part.uv is None else (id(texture.pixels), texture.wrap, texture.smooth, opaque)


def _seen(material: Material) -> Texture:
    """Give a material's texture. An opaque one loses its alpha: clear texels still have a colour."""
    assert material.texture is not None
    if material.cutoff >= 0:
        return material.texture
    return material.texture._replace(pixels=np.insert(material.texture.pixels[..., :3], 3, 255, axis=-1))


def _checked(part: Part) -> Part:
    vertices, faces = np.asarray(part.vertices, np.float64), np.asarray(part.faces, np.int64)
    wrong = np.flatnonzero(~(np.abs(vertices) < 1e15).all(1))
    if len(wrong):
        where = f"Vertex {wrong[0]} of '{part.name}'"
        raise TdaError(f"{where} is {vertices[wrong[0]].tolist()}, which is no position. Export the model again.")
    if len(faces) and not 0 <= faces.min() <= faces.max() < len(vertices):
        row = np.flatnonzero(((faces < 0) | (faces >= len(vertices))).any(1))[0]
        where = f"Triangle {row} of '{part.name}'"
        raise TdaError(f"{where} names vertices {faces[row].tolist()} of {len(vertices)}. Export the model again.")
    looks = {"Texture coordinates": part.uv, "Colours": part.colours, "Material colours": part.material.factor}
    for what, values in looks.items():
        if values is not None and not (np.abs(values) < 1e30).all():
            raise TdaError(f"{what} of '{part.name}' are not finite numbers. Export the model again.")
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return part._replace(vertices=vertices, faces=faces[np.cross(b - a, c - a).any(1)])


def _corners(
    values: Float[np.ndarray, "vertex d"] | None, faces: Int[np.ndarray, "face 3"], default: Sequence[float]
) -> Float[np.ndarray, "face 3 d"]:
    if values is None:
        return np.tile(np.array(default, np.float32), (len(faces), 3, 1))
    return values[faces].astype(np.float32)


def _corner_normals(part: Part) -> Float[np.ndarray, "face 3 3"]:
    """Take the file's normals; average our own across equal positions where it has none or they have no direction."""
    if part.normals is not None:
        theirs = np.asarray(part.normals, np.float64)[part.faces]
        lengths = np.linalg.norm(theirs, axis=2, keepdims=True)
        usable = (lengths > 1e-6) & (lengths < 1e6)
        theirs = np.where(usable, theirs, 1) / np.where(usable, lengths, 1)
        if usable.all():
            return theirs
    same = np.unique(part.vertices, axis=0, return_inverse=True)[1].ravel()
    first = np.empty(same.max() + 1, np.int64)
    first[same] = np.arange(len(same))
    ours = corner_normals(part.vertices, first[same][part.faces])
    return ours if part.normals is None else np.where(usable, theirs, ours)
