"""The bytes of a glTF 2.0 or GLB file: its JSON tree, buffers, and accessors as arrays."""

from __future__ import annotations

import base64
import json
import struct
import urllib.parse
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from tda_nerfstudio.atlas.selection import JSON_LIMIT
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.models.parts import MAX_COUNT, Source, check_count, read_file

_TYPES = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_COLUMNS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
APPLIED = {
    "KHR_texture_transform", "EXT_texture_webp", "EXT_mesh_gpu_instancing", "KHR_mesh_quantization",
    "KHR_materials_pbrSpecularGlossiness",
}  # fmt: skip
"""Extensions that are applied."""
UNSEEN = {
    "KHR_materials_unlit", "KHR_materials_ior", "KHR_materials_specular", "KHR_materials_clearcoat",
    "KHR_materials_sheen", "KHR_materials_anisotropy", "KHR_materials_iridescence", "KHR_materials_dispersion",
    "KHR_materials_emissive_strength", "KHR_materials_variants", "KHR_lights_punctual", "KHR_animation_pointer",
    "KHR_xmp", "KHR_xmp_json_ld", "EXT_lights_image_based",
}  # fmt: skip
"""Extensions that are ignored: they change highlights or lights, but neither shape nor base colour."""


class GltfFile:
    """A file's tree, and its data on demand. Look-ups in a broken structure raise Python's own errors."""

    def __init__(self, source: Source) -> None:
        data = read_file(source.path, "The file")
        content, self._body = _split(data) if data[:4] == b"glTF" else (data, b"")
        if len(content) > JSON_LIMIT:
            raise TdaError(f"Its JSON has more than {JSON_LIMIT // 2**20} MB. Simplify it.")
        self.tree: dict[str, Any] = json.loads(content)
        self.source = source
        self._buffers: dict[int, bytes] = {}
        version = str(self.tree["asset"]["version"])
        if not version.startswith("2."):
            raise TdaError(f"It is glTF {version}, only 2 is supported. Export it as glTF 2.0.")
        for name in self.tree.get("extensionsRequired", []):
            if name not in APPLIED | UNSEEN:
                raise TdaError(f"It needs {name}, which is not supported. Export it without that.")

    def count(self, index: int) -> int:
        """Give an accessor's number of rows without reading it."""
        count = self.tree["accessors"][index]["count"]
        if not isinstance(count, int) or count < 0:
            raise TdaError(f"Accessor {index} has count {count!r}. Export it again.")
        return count

    def access(self, index: int, kind: str | None = None) -> Float[np.ndarray, "row column"]:
        """Read an accessor, normalised integers as the floats that they mean."""
        accessor = self.tree["accessors"][index]
        if kind not in (None, accessor["type"]):
            raise TdaError(f"Accessor {index} is {accessor['type']}, expected {kind}. Export it again.")
        dtype, count, columns = np.dtype(_TYPES[accessor["componentType"]]), self.count(index), accessor["type"]
        check_count(count, f"rows of accessor {index}", 3 * MAX_COUNT)
        sparse = accessor.get("sparse")
        if "bufferView" in accessor:
            rows = self._rows(accessor, dtype, count, _COLUMNS[columns], f"Accessor {index}")
        elif sparse is None:
            raise TdaError(f"Accessor {index} has no data, which is not supported. Export it plainly.")
        else:
            rows = np.zeros((count, _COLUMNS[columns]), dtype)
        if sparse is not None:
            rows, where = rows.copy(), f"The sparse part of accessor {index}"
            kinds = np.dtype(_TYPES[sparse["indices"]["componentType"]])
            at = self._rows(sparse["indices"], kinds, sparse["count"], 1, where)[:, 0]
            if len(at) and not 0 <= at.min() <= at.max() < count:
                raise TdaError(f"{where} names row {at.max()} of {count}. Export it again.")
            rows[at] = self._rows(sparse["values"], dtype, sparse["count"], rows.shape[1], where)
        scale = np.iinfo(dtype).max if accessor.get("normalized") else 1
        return np.maximum(rows / scale, -1) if scale > 1 else rows.astype(np.float64)

    def view(self, index: int) -> tuple[memoryview, int]:
        """Give a buffer view's bytes and stride."""
        view = self.tree["bufferViews"][index]
        buffer, start, size = self._buffer(view["buffer"]), view.get("byteOffset", 0), view["byteLength"]
        if min(start, size) < 0 or start + size > len(buffer):
            raise TdaError(
                f"Buffer view {index} ends at byte {start + size:,}, but buffer {view['buffer']} has {len(buffer):,}."
                " Export it again, or copy it whole."
            )
        return memoryview(buffer)[start : start + size], view.get("byteStride", 0)

    def fetch(self, uri: str, what: str) -> bytes:
        """Read a data URI or a file that the model refers to."""
        if uri.startswith("data:"):
            return base64.b64decode(uri.partition("base64,")[2], validate=True)
        return self.source.read(urllib.parse.unquote(uri), what)

    def _rows(self, place: dict[str, Any], dtype: np.dtype, count: int, columns: int, what: str) -> NDArray:
        view, stride = self.view(place["bufferView"])
        start, stride = place.get("byteOffset", 0), stride or dtype.itemsize * columns
        end = start + max(count - 1, 0) * stride + dtype.itemsize * columns * (count > 0)
        if start < 0 or stride < dtype.itemsize * columns or end > len(view):
            raise TdaError(
                f"{what} declares {count:,} rows, {end:,} bytes, but its data has {len(view):,}. Export it again."
            )
        return np.ndarray((count, columns), dtype, view, start, (stride, dtype.itemsize))

    def _buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            buffer = self.tree["buffers"][index]
            if "uri" not in buffer and index:
                raise TdaError(f"Buffer {index} has no data. Export it again, without compression.")
            self._buffers[index] = self.fetch(buffer["uri"], "Buffer") if "uri" in buffer else self._body
        return self._buffers[index]


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Split a GLB file into its JSON and binary chunks."""
    version, length = struct.unpack_from("<II", data, 4) if len(data) >= 12 else (2, 12)
    if version != 2:
        raise TdaError(f"It is GLB version {version}, only 2 is supported. Export it as glTF 2.0.")
    if length > len(data):
        raise TdaError(f"It is truncated: {len(data):,} of {length:,} bytes are there. Copy it again.")
    chunks, at = {}, 12
    while at + 8 <= length:
        size, kind = struct.unpack_from("<I4s", data, at)
        if at + 8 + size > length:
            raise TdaError(f"It is truncated: a chunk of {size:,} bytes reaches over its end. Export it again.")
        chunks.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size
    return chunks[b"JSON"], chunks.get(b"BIN\0", b"")
