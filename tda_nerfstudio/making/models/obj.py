"""OBJ files as parts, one per material. Colours are sRGB.

trimesh reads many such files wrongly: `tests/making/models/test_trimesh.py` shows how.
"""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterator
from itertools import zip_longest

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.models.mtl import Materials, text_of
from tda_nerfstudio.making.models.parts import Part, Source, check_count, read_file
from tda_nerfstudio.making.models.polygons import triangulate
from tda_nerfstudio.making.models.surfaces import linear_colours, srgb_material

MAX_LINE = 2**24
"""Characters."""
_TABLES = {
    "v": ("vertex", "vertices", 3),
    "vt": ("texture coordinate", "texture coordinates", 2),
    "vn": ("normal", "normals", 3),
}
"""What lines of numbers give, one and many, and how many numbers each has."""


def read_obj(source: Source) -> list[Part]:
    """Read a model in its own frame. Raises TdaError."""
    obj, materials = _Obj(), Materials(source)
    number = 0
    try:
        for number, key, value in _lines(text_of(read_file(source.path, "The file"))):
            if key == "mtllib":
                materials.add(value)
            else:
                obj.take(number, key, value)
    except (ValueError, IndexError, OverflowError) as error:
        raise TdaError(f"Line {number} cannot be read ({error}). Export it again.") from error
    return obj.parts(materials)


def _lines(text: str) -> Iterator[tuple[int, str, str]]:
    """Give the number, keyword and rest of each line that is not empty; a backslash joins a line to the next one."""
    joined = ""
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        joined += line.strip()
        check_count(len(joined), "characters in one line", MAX_LINE)
        if joined.endswith("\\"):
            joined = joined[:-1] + " "
            continue
        words = joined.split(None, 1)
        joined = ""
        if words and not words[0].startswith("#"):
            yield number, words[0], words[1] if len(words) > 1 else ""


class _Obj:
    """Tables of positions, texture coordinates and normals, and polygons whose corners name rows of them."""

    def __init__(self) -> None:
        self._tables, self._colours = {key: array("d") for key in _TABLES}, array("d")
        self._corners, self._sizes, self._numbers, self._groups = (array("q") for _ in range(4))
        self._names: dict[str | None, int] = {}
        self._group, self._triangles = 0, 0
        self._use(None)

    def take(self, number: int, key: str, value: str) -> None:
        """Take one line; unknown keywords are ignored."""
        if key == "usemtl":
            self._use(value.strip())
        elif key == "f":
            self._take_face(number, value.partition("#")[0].split())
        elif key in _TABLES:
            row = [float(word) for word in value.partition("#")[0].split()]
            if key == "v":
                self._colours.extend(row[-3:] if len(row) > 5 else (np.nan,) * 3)
            elif key == "vt":
                row.append(0.0)  # where only u is given
            _, what, width = _TABLES[key]
            self._tables[key].extend([row[i] for i in range(width)])
            check_count(len(self._tables[key]) // width, what)

    def _use(self, name: str | None) -> None:
        self._group = self._names.setdefault(name, len(self._names))

    def _take_face(self, number: int, words: list[str]) -> None:
        if len(words) < 3:
            return
        self._triangles += len(words) - 2
        check_count(self._triangles, "triangles")
        counts = [len(self._tables[key]) // width for key, (_, _, width) in _TABLES.items()]
        for word in words:
            named = [int(part) if part else 0 for part in word.split("/")]
            for index, count in zip_longest(named[:3], counts, fillvalue=0):
                self._corners.append(index if index >= 0 else count + 1 + index or -1)
        self._sizes.append(len(words))
        self._numbers.append(number)
        self._groups.append(self._group)

    def parts(self, materials: Materials) -> list[Part]:
        """Cut the polygons into triangles, and give those of each material."""
        tables = [np.array(self._tables[key]).reshape(-1, width) for key, (_, _, width) in _TABLES.items()]
        corners, sizes = np.array(self._corners, np.int64).reshape(-1, 3), np.array(self._sizes, np.int64)
        wrong = (corners < [1, 0, 0]) | (corners > [len(table) for table in tables])
        if wrong.any():
            row, kind = (int(rows[0]) for rows in np.nonzero(wrong))
            where = f"Line {self._numbers[int(np.searchsorted(sizes.cumsum(), row, 'right'))]}"
            what = list(_TABLES.values())[kind][0]
            raise TdaError(f"{where} names a {what} that is not there, of {len(tables[kind])}. Export it again.")
        triangles, polygons = triangulate(tables[0][corners[:, 0] - 1], sizes)
        groups, placed = np.array(self._groups, np.int64)[polygons], (corners[triangles, 1] > 0).all(1)
        parts = []
        for name, group in self._names.items():
            for has_uv in (True, False):
                chosen = triangles[(groups == group) & (placed == has_uv)]
                if len(chosen):
                    parts.append(self._part(name, corners[chosen].reshape(-1, 3), has_uv, tables, materials))
        return parts

    def _part(
        self,
        name: str | None,
        corners: Int[np.ndarray, "corner 3"],
        has_uv: bool,
        tables: list[NDArray],
        materials: Materials,
    ) -> Part:
        """Make one vertex of all corners that are alike."""
        positions, uv, normals = tables
        keys = (corners[:, 0] * (len(uv) + 1) + corners[:, 1]) * (len(normals) + 1) + corners[:, 2]
        _, first, faces = np.unique(keys, return_index=True, return_inverse=True)
        vertex, place, normal = corners[first].T
        skin = materials.get(name)
        material, colours = skin.material, None
        own = np.array(self._colours).reshape(-1, 3)[vertex - 1]
        if name not in materials and np.isfinite(own).any():
            material, colours = srgb_material(1.0), linear_colours(own)
        return Part(
            name or "surface",
            positions[vertex - 1],
            faces.reshape(-1, 3),
            material,
            np.concatenate([np.zeros((1, 3)), normals])[normal] if normal.any() else None,
            skin.place(uv[place - 1]) if has_uv else None,
            colours,
        )
