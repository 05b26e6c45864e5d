"""PLY files, binary little endian."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

TYPES = {"f4": "float", "u1": "uchar"}


def ply(
    columns: Mapping[str, NDArray], comments: Sequence[str], faces: Int[np.ndarray, "face 3"] | None = None
) -> bytes:
    """Put vertices, a property a column, and triangles into a file. Columns are float32 or uint8."""
    kinds = [(name, "u1" if column.dtype == np.uint8 else "f4") for name, column in columns.items()]
    count = len(next(iter(columns.values())))
    lines = ["ply", "format binary_little_endian 1.0", *(f"comment {_plain(text)}" for text in comments)]
    lines += [f"element vertex {count}", *(f"property {TYPES[kind]} {name}" for name, kind in kinds)]
    rows = np.zeros(count, [(name, f"<{kind}") for name, kind in kinds])
    for name, column in columns.items():
        rows[name] = column
    body = rows.tobytes()
    if faces is not None:
        lines += [f"element face {len(faces)}", "property list uchar int vertex_indices"]
        corners = np.zeros(len(faces), [("count", "u1"), ("corners", "<i4", (3,))])
        corners["count"], corners["corners"] = 3, faces
        body += corners.tobytes()
    return "\n".join([*lines, "end_header", ""]).encode() + body


def points(
    positions: NDArray, normals: NDArray, colours: NDArray, comments: Sequence[str], faces: NDArray | None = None
) -> bytes:
    """Put coloured points with normals, or the vertices of a mesh, into a file. Colours are uint8."""
    columns = {name: positions[:, i] for i, name in enumerate("xyz")}
    columns |= {f"n{name}": normals[:, i] for i, name in enumerate("xyz")}
    columns |= {name: colours[:, i] for i, name in enumerate(("red", "green", "blue"))}
    return ply(columns, comments, faces)


def _plain(text: str) -> str:
    """Keep a comment in one line of ASCII."""
    return " ".join(text.split()).encode("ascii", "replace").decode()
