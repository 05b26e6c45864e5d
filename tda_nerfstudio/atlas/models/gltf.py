"""glTF 2.0 and GLB as parts: node transforms, base colours, their textures and samplers.

Read here and not by trimesh, which rounds linear factors to 8 bits, drops samplers and texture transforms, and passes
over what is missing or broken in silence.
"""

from __future__ import annotations

import base64
import json
import math
import struct
import urllib.parse
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from tda_nerfstudio.atlas.models.parts import MAX_PARTS, Material, Part, Source, check_count, read_file
from tda_nerfstudio.atlas.models.textures import CLAMP, MIRROR, REPEAT, Texture, read_pixels
from tda_nerfstudio.atlas.selection import JSON_LIMIT
from tda_nerfstudio.core.errors import TdaError

_TYPES = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_COLUMNS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_WRAPS = {33071: CLAMP, 33648: MIRROR, 10497: REPEAT}
_NEAREST = 9728
_UNREADABLE = ("KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_texture_basisu")
_BROKEN = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, struct.error)


def read_gltf(source: Source) -> list[Part]:
    """Read every instance of every mesh of the file's scene, in its own frame (y up). Raises TdaError."""
    try:
        data = read_file(source.path, "The file")
        content, body = _split(data) if data[:4] == b"glTF" else (data, b"")
        if len(content) > JSON_LIMIT:
            raise TdaError(f"Its JSON has more than {JSON_LIMIT // 2**20} MB. Simplify it.")
        return _Gltf(json.loads(content), body, source).parts()
    except _BROKEN as error:
        reason = f"{type(error).__name__}: {error}"
        raise TdaError(f"Its glTF structure is broken ({reason[:200]}). Export it again.") from error


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


class _Gltf:
    def __init__(self, tree: dict[str, Any], body: bytes, source: Source) -> None:
        version = str(tree["asset"]["version"])
        if not version.startswith("2."):
            raise TdaError(f"It is glTF {version}, only 2 is supported. Export it as glTF 2.0.")
        needed = [name for name in tree.get("extensionsRequired", []) if name in _UNREADABLE]
        if needed:
            raise TdaError(f"It needs {needed[0]}, which is not supported. Export it without compression.")
        self._tree, self._body, self._source = tree, body, source
        self._buffers: dict[int, bytes] = {}
        self._materials: dict[int | None, tuple[Material, dict[str, Any]]] = {None: (Material(), {})}
        self._images: dict[int, NDArray[np.uint8]] = {}

    def parts(self) -> list[Part]:
        """Count everything first, then read it."""
        todo: list[tuple[str, NDArray, dict[str, Any]]] = []
        vertices = triangles = 0
        for name, matrix, mesh in self._instances():
            for number, primitive in enumerate(mesh["primitives"]):
                mode = primitive.get("mode", 4)
                if mode in (4, 5, 6):
                    position = primitive["attributes"]["POSITION"]
                    vertices += self._count(position)
                    triangles += self._count(primitive.get("indices", position)) // (3 if mode == 4 else 1)
                    todo.append((f"{name}, primitive {number}", matrix, primitive))
                    check_count(len(todo), "primitives", MAX_PARTS)
                    check_count(vertices, "vertices")
                    check_count(triangles, "triangles")
        with np.errstate(all="ignore"):  # what is not finite is refused later, by name
            return [self._part(*entry) for entry in todo]

    def _instances(self) -> Iterator[tuple[str, NDArray, dict[str, Any]]]:
        """Walk the node tree: name, transform to the file's frame, mesh."""
        nodes = self._tree.get("nodes", [])
        scenes = self._tree.get("scenes", [{"nodes": list(range(len(nodes)))}])
        stack = [(index, np.eye(4)) for index in scenes[self._tree.get("scene", 0)].get("nodes", [])]
        seen: set[int] = set()
        while stack:
            index, above = stack.pop()
            if index in seen:
                raise TdaError(f"Node {index} has two parents or holds itself; nodes must be a tree. Export it again.")
            seen.add(index)
            node = nodes[index]
            matrix = above @ _transform(node)
            stack += [(child, matrix) for child in node.get("children", [])]
            if "mesh" in node:
                yield str(node.get("name", f"node {index}")), matrix, self._tree["meshes"][node["mesh"]]

    def _part(self, name: str, matrix: Float[np.ndarray, "4 4"], primitive: dict[str, Any]) -> Part:
        attributes = primitive["attributes"]
        vertices = self._access(attributes["POSITION"], "VEC3")
        if "indices" in primitive:
            corners = self._access(primitive["indices"], "SCALAR")[:, 0].astype(np.int64)
        else:
            corners = np.arange(len(vertices))
        material, place = self._material(primitive.get("material"))
        normals = uv = colours = None
        if "NORMAL" in attributes:
            normals = self._access(attributes["NORMAL"], "VEC3") @ np.linalg.pinv(matrix[:3, :3])
        coordinates = f"TEXCOORD_{place.get('texCoord', 0)}"
        if material.texture is not None and coordinates in attributes:
            uv = _placed(self._access(attributes[coordinates], "VEC2"), place)
        if "COLOR_0" in attributes:
            colours = self._access(attributes["COLOR_0"])
            colours = np.concatenate([colours, np.ones((len(colours), 1))], 1)[:, :4]
        for values in (normals, uv, colours):
            if values is not None and len(values) != len(vertices):
                raise TdaError(f"'{name}' has {len(vertices)} vertices, but attributes of {len(values)}. Export again.")
        vertices = vertices @ matrix[:3, :3].T + matrix[:3, 3]
        return Part(name, vertices, _triangles(corners, primitive.get("mode", 4)), material, normals, uv, colours)

    def _material(self, index: int | None) -> tuple[Material, dict[str, Any]]:
        """Read a material's base colour, and what its texture says of texture coordinates."""
        if index in self._materials:
            return self._materials[index]
        entry = self._tree["materials"][index]
        old = entry.get("extensions", {}).get("KHR_materials_pbrSpecularGlossiness", {})
        base = entry.get("pbrMetallicRoughness", {})
        factor = base.get("baseColorFactor", old.get("diffuseFactor", [1, 1, 1, 1]))
        place = base.get("baseColorTexture", old.get("diffuseTexture"))
        cutoff = {"MASK": entry.get("alphaCutoff", 0.5), "BLEND": 0.0}.get(entry.get("alphaMode"), -1.0)
        red, green, blue, alpha = (float(value) for value in factor)
        texture = None if place is None else self._texture(place["index"])
        extra = {} if place is None else place | place.get("extensions", {}).get("KHR_texture_transform", {})
        self._materials[index] = Material((red, green, blue, alpha), texture, float(cutoff)), extra
        return self._materials[index]

    def _texture(self, index: int) -> Texture:
        texture = self._tree["textures"][index]
        number = texture.get("extensions", {}).get("EXT_texture_webp", texture)["source"]
        if number not in self._images:
            image = self._tree["images"][number]
            what = f"Texture {number}"
            embedded = "bufferView" in image
            data = bytes(self._view(image["bufferView"])[0]) if embedded else self._fetch(image["uri"], what)
            self._images[number] = read_pixels(self._source.open(data, what), what)
        sampler = self._tree["samplers"][texture["sampler"]] if "sampler" in texture else {}
        wrap = (_WRAPS[sampler.get("wrapS", 10497)], _WRAPS[sampler.get("wrapT", 10497)])
        return Texture(self._images[number], wrap, sampler.get("magFilter") != _NEAREST)

    def _count(self, index: int) -> int:
        count = self._tree["accessors"][index]["count"]
        if not isinstance(count, int) or count < 0:
            raise TdaError(f"Accessor {index} has count {count!r}. Export it again.")
        return count

    def _access(self, index: int, kind: str | None = None) -> Float[np.ndarray, "row column"]:
        """Read an accessor, normalised integers as the floats they stand for."""
        accessor = self._tree["accessors"][index]
        if "sparse" in accessor or "bufferView" not in accessor:
            raise TdaError(f"Accessor {index} is sparse or has no data, which is not supported. Export it plainly.")
        if kind not in (None, accessor["type"]):
            raise TdaError(f"Accessor {index} is {accessor['type']}, expected {kind}. Export it again.")
        dtype, count, columns = (
            np.dtype(_TYPES[accessor["componentType"]]),
            self._count(index),
            _COLUMNS[accessor["type"]],
        )
        view, stride = self._view(accessor["bufferView"])
        start, stride = accessor.get("byteOffset", 0), stride or dtype.itemsize * columns
        end = start + max(count - 1, 0) * stride + dtype.itemsize * columns * (count > 0)
        if start < 0 or stride < dtype.itemsize * columns or end > len(view):
            raise TdaError(
                f"Accessor {index} declares {count:,} rows, {end:,} bytes, but its data has {len(view):,}. Export it"
                " again."
            )
        rows = np.ndarray((count, columns), dtype, view, start, (stride, dtype.itemsize))
        scale = np.iinfo(dtype).max if accessor.get("normalized") else 1
        return np.maximum(rows / scale, -1) if scale > 1 else rows.astype(np.float64)

    def _view(self, index: int) -> tuple[memoryview, int]:
        view = self._tree["bufferViews"][index]
        buffer, start, size = self._buffer(view["buffer"]), view.get("byteOffset", 0), view["byteLength"]
        if min(start, size) < 0 or start + size > len(buffer):
            raise TdaError(
                f"Buffer view {index} ends at byte {start + size:,}, but buffer {view['buffer']} has {len(buffer):,}."
                " Export it again, or copy it whole."
            )
        return memoryview(buffer)[start : start + size], view.get("byteStride", 0)

    def _buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            buffer = self._tree["buffers"][index]
            self._buffers[index] = self._fetch(buffer["uri"], "Buffer") if "uri" in buffer else self._body
        return self._buffers[index]

    def _fetch(self, uri: str, what: str) -> bytes:
        if uri.startswith("data:"):
            return base64.b64decode(uri.partition("base64,")[2], validate=True)
        return self._source.read(urllib.parse.unquote(uri), what)


def _transform(node: dict[str, Any]) -> Float[np.ndarray, "4 4"]:
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    quaternion = np.array(node.get("rotation", [0, 0, 0, 1]), np.float64)
    x, y, z, w = quaternion / max(float(np.linalg.norm(quaternion)), 1e-12)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.array(node.get("scale", [1, 1, 1]), np.float64)
    matrix[:3, 3] = node.get("translation", [0, 0, 0])
    return matrix


def _triangles(corners: NDArray[np.int64], mode: int) -> NDArray[np.int64]:
    """Cut a list (4), strip (5) or fan (6) of corners into triangles."""
    if mode == 4:
        return corners[: len(corners) // 3 * 3].reshape(-1, 3)
    second = corners[1:-1]
    return np.stack([corners[:-2] if mode == 5 else np.full_like(second, corners[0]), second, corners[2:]], -1)


def _placed(uv: Float[np.ndarray, "vertex 2"], place: dict[str, Any]) -> Float[np.ndarray, "vertex 2"]:
    """Scale, turn and shift texture coordinates as KHR_texture_transform says."""
    turn = float(place.get("rotation", 0))
    turned = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    return uv * np.array(place.get("scale", [1, 1])) @ turned.T + np.array(place.get("offset", [0, 0]))
