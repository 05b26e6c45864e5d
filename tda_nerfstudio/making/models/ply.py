"""PLY files as parts, read with trimesh after their sizes were checked. Colours are sRGB.

Polygons are cut into triangles here, not by trimesh: `tests/making/models/test_trimesh.py` shows why.
"""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.models.parts import Part, Source, check_count, read_file
from tda_nerfstudio.making.models.polygons import triangulate
from tda_nerfstudio.making.models.surfaces import GREY, linear_colours, srgb_material
from tda_nerfstudio.making.models.textures import Texture

_HEADER = 2**16
_SIZES = {"char": 1, "uchar": 1, "short": 2, "ushort": 2, "int": 4, "uint": 4, "float": 4, "double": 8}
_SIZES |= {"int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "float32": 4, "float64": 8}
_COORDINATES = (("texture_u", "texture_v"), ("u", "v"), ("s", "t"))


def read_ply(source: Source) -> list[Part]:
    """Read a model in its own frame. Raises TdaError."""
    from trimesh.exchange.ply import load_ply

    data = read_file(source.path, "The file")
    texture = _texture(source, _check(data))
    try:
        elements = load_ply(io.BytesIO(data), skip_materials=True)["metadata"]["_ply_raw"]
        vertex, face = (_Element(elements.get(name, {})) for name in ("vertex", "face"))
        return _parts(vertex, face, texture)
    except TdaError:
        raise
    except Exception as error:  # trimesh raises many kinds in a broken file
        reason = f"{type(error).__name__}: {error}"[:200]
        advice = "Copy it whole; export it with triangles alone"
        raise TdaError(f"It cannot be read ({reason}). {advice}.") from error


class _Element:
    """The rows of one element as trimesh keeps them: columns of a dictionary or of a structured array."""

    def __init__(self, element: dict[str, Any]) -> None:
        self._data, self._rows = element.get("data", {}), element.get("length", 0)
        self._names = self._data if isinstance(self._data, dict) else self._data.dtype.names

    def columns(self, *names: str) -> NDArray | None:
        """Give plain properties side by side, or None where one is missing."""
        if not all(name in self._names for name in names):
            return None
        return np.stack([np.asarray(self._data[name]).reshape(-1) for name in names], 1)

    def lists(self, *names: str) -> tuple[NDArray, NDArray[np.int64]] | None:
        """Give the values of the first list that is there, one row after the other, and how many each row has."""
        for name in names:
            if name in self._names:
                values = np.asarray(self._data[name])
                values = values if values.dtype.names is None else values["f1"]
                if values.dtype == object:
                    return np.concatenate(list(values)), np.array([len(row) for row in values], np.int64)
                values = values.reshape(self._rows, -1)
                return values.reshape(-1), np.full(len(values), values.shape[1], np.int64)
        return None


def _parts(vertex: _Element, face: _Element, texture: Texture | None) -> list[Part]:
    positions, polygons = vertex.columns("x", "y", "z"), face.lists("vertex_indices", "vertex_index")
    if positions is None or polygons is None:
        return []
    corners, sizes = polygons[0].astype(np.int64), polygons[1]
    wrong = np.flatnonzero((corners < 0) | (corners >= len(positions)))
    if len(wrong):
        row = int(np.searchsorted(sizes.cumsum(), wrong[0], "right"))
        raise TdaError(f"Face {row} names vertex {corners[wrong[0]]} of {len(positions)}. Export it again.")
    check_count(int(np.maximum(sizes - 2, 0).sum()), "triangles")
    triangles, _ = triangulate(positions[corners].astype(np.float64), sizes)
    normals, material, colours = vertex.columns("nx", "ny", "nz"), srgb_material(GREY), None
    uv = next((found for names in _COORDINATES if (found := vertex.columns(*names)) is not None), None)
    of_corners, own = face.lists("texcoord"), vertex.columns("red", "green", "blue")
    apart = False  # whether each corner is a vertex of its own
    if texture is not None and not (uv is None and of_corners is None):
        material = srgb_material(1.0, texture)
        if of_corners is not None:
            uv, apart = of_corners[0].reshape(len(corners), 2), True
    elif own is not None:
        material, colours = srgb_material(1.0), linear_colours(own)
    elif (own := face.columns("red", "green", "blue")) is not None:
        material, colours, apart = srgb_material(1.0), linear_colours(own).repeat(sizes, 0), True
    uv = None if uv is None or material.texture is None else uv * [1, -1] + [0, 1]
    if apart:
        positions, normals = positions[corners], None if normals is None else normals[corners]
        corners = np.arange(len(corners))
    return [Part("surface", positions, corners[triangles], material, normals, uv, colours)]


def _texture(source: Source, header: str) -> Texture | None:
    """Read the texture that a header names in a comment."""
    names = re.findall(r"^comment\s+texturefile\s+(.*?)\s*$", header, re.IGNORECASE | re.MULTILINE)
    if not names:
        return None
    if len(names) > 1:
        raise TdaError(f"It has {len(names)} textures; one is supported in a PLY file. Export it as GLB or OBJ.")
    return Texture(source.pixels(f"Texture '{names[0]}'", lambda: source.read(names[0], "Texture")))


def _check(data: bytes) -> str:
    """Refuse a PLY file that holds less than it declares, or too much; return its header."""
    head, end, _ = data[:_HEADER].partition(b"end_header")
    if not head.startswith(b"ply") or not end:
        raise TdaError("It has no PLY header. Export it again.")
    start = data.find(b"\n", len(head)) + 1 or len(data)
    needed, elements, ascii_rows = 0, 0, b"format ascii" in head
    for element in head.split(b"\nelement ")[1:]:
        lines = element.decode("latin-1").splitlines()
        try:
            name, count = lines[0].split()[0], int(lines[0].split()[1])
            rows = [line.split() for line in lines[1:] if line.startswith("property ")]
            size = sum(_SIZES[words[2 if words[1] == "list" else 1]] for words in rows)
        except (LookupError, ValueError) as error:
            raise TdaError(f"Its PLY header is broken near 'element {lines[0][:60]}'. Export it again.") from error
        if count < 0:
            raise TdaError(f"It declares {count} of '{name}'. Export it again.")
        check_count(count, f"of '{name}'")
        needed, elements = needed + count * size, elements + count
    if ascii_rows:
        found, wanted, unit = data.count(b"\n", start) + (data[-1:] != b"\n"), elements, "lines"
    else:
        found, wanted, unit = len(data) - start, needed, "bytes"
    if found < wanted:
        raise TdaError(f"It declares at least {wanted:,} {unit} of data and holds {found:,}. Copy or export it again.")
    return head.decode("latin-1")
